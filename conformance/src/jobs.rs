//! The job store suite: what must hold of a store of jobs, one test per sentence.
//!
//! Each case opens a store of its own, with nothing in it, and speaks to it through
//! [`JobStore`](tideway::jobs::JobStore) alone; afterwards the store's own `audit` must find no flaw.
//! Times are either exact, on a clock that the test moves, or lower bounds.
//!
//! The rejected alternative is one random test against the model of `tideway-memory`. It finds as much
//! (`linear` is one), and explains nothing: the author of a store reads "expected None, got Some". A
//! sentence per guarantee says what to fix; and [`mutant`] breaks a good store in one way after another, so
//! that nearly all of them are seen to fail for a store that deserves it.
//!
#![doc = include_str!("../../docs/guide/custom-job-store.md")]

mod clock;
mod cx;
pub mod fixture;
mod harness;
mod history;
mod level;
pub mod mutant;
mod paging;
mod suite;
mod victim;
mod wait;
mod worker;

pub mod batch;
pub mod claiming;
pub mod control;
pub mod cron;
pub mod durable;
pub mod enqueueing;
pub mod fencing;
pub mod leases;
pub mod limits;
pub mod linear;
pub mod listing;
pub mod pausing;
pub mod reaping;
pub mod settling;
pub mod stress;
pub mod time;
pub mod unique;
pub mod waits;
pub mod wake;

pub use crate::judge::{Came, Judged};
pub use clock::TestClock;
pub use cx::Cx;
pub use harness::{Harness, OpenError};
pub use level::Level;
pub use mutant::{Mutant, MutantStore};
pub use suite::{Case, Suite};
pub use worker::Worker;

/// Runs the job store suite: a module `name` with one `#[test]` per guarantee.
///
/// - `name`: an identifier; also the store's name in the table of results.
/// - `harness`: an expression of a type that implements [`Harness`](crate::jobs::Harness), evaluated for
///   each case.
/// - `levels`: what is to be proven ([`Level`](crate::jobs::Level)). A case of a level that is neither
///   listed nor declared by the store's `caps` is skipped, and the output says so; one that is declared
///   and not listed fails.
#[macro_export]
macro_rules! job_store_suite {
    (name: $name:ident, harness: $harness:expr, levels: [$($level:ident),+ $(,)?] $(,)?) => {
        $crate::__job_cases! { __job_tests, ($name) ($harness) ($($level)+) }
    };
}

/// All cases: module, level and function.
#[doc(hidden)]
#[macro_export]
macro_rules! __job_cases {
    ($then:ident, $($args:tt)*) => {
        $crate::$then! { $($args)*
            enqueueing L0 a_repeated_enqueue_is_a_duplicate,
            enqueueing L0 another_job_under_a_known_id_is_a_conflict,
            enqueueing L0 payloads_of_every_size_are_kept,
            claiming L0 a_job_is_claimed_as_it_was_enqueued,
            claiming L0 a_claim_takes_at_most_its_limit,
            claiming L0 a_claim_takes_at_most_its_bytes_but_at_least_one_job,
            claiming L0 each_lane_gives_at_most_its_own_share,
            claiming L0 a_lane_asked_again_gives_more,
            claiming L0 lanes_are_served_in_the_order_asked,
            claiming L0 a_lane_is_first_in_first_out,
            claiming L0 what_is_not_asked_for_is_not_touched,
            claiming L0 every_claim_raises_the_token_by_one,
            claiming L0 a_claim_says_when_the_next_job_is_due,
            claiming L0 a_repeated_claim_returns_the_same_jobs,
            claiming L0 an_older_claim_takes_nothing,
            claiming L0 a_claim_that_found_nothing_counts_too,
            settling L0 a_success_is_recorded_with_its_result,
            settling L0 a_retry_is_due_after_its_backoff,
            settling L0 a_dead_job_stays_visible,
            settling L0 a_stopped_job_is_cancelled,
            settling L0 a_snooze_refunds_the_attempt,
            settling L0 a_release_refunds_the_attempt,
            settling L0 an_abandoned_job_runs_until_its_lease_is_out,
            settling L0 follow_up_jobs_are_inserted_once_with_a_success,
            settling L0 progress_is_kept_over_retries,
            settling L0 a_cancel_request_overrides_what_would_put_the_job_back,
            settling L0 the_last_eight_errors_are_kept,
            fencing L0 a_repeated_settle_changes_nothing,
            fencing L0 a_settle_with_another_token_is_fenced,
            fencing L0 a_settle_by_another_owner_is_fenced,
            fencing L0 a_settle_of_an_unknown_job_is_not_found,
            fencing L0 a_late_finish_counts_until_the_job_is_reaped,
            fencing L0 a_zombie_is_fenced_after_its_job_was_claimed_again,
            fencing L0 a_lease_given_back_is_never_valid_again,
            leases L0 a_beat_extends_the_lease,
            leases L0 a_beat_revives_a_lapsed_lease_nobody_reaped,
            leases L0 a_beat_of_another_lease_is_lost,
            leases L0 a_beat_never_resurrects_an_ended_job,
            leases L0 a_beat_tells_of_a_cancel_request,
            reaping L0 only_lapsed_leases_are_listed_as_expired,
            reaping L0 pages_of_expired_leases_lose_none,
            reaping L0 pages_of_expired_leases_lose_none_while_they_are_reaped,
            reaping L0 an_expired_lease_tells_its_company,
            reaping L0 a_crash_needs_a_lapsed_lease,
            reaping L0 a_crash_of_another_lease_is_fenced,
            reaping L0 a_crashed_job_waits_among_the_suspects_only,
            reaping L0 the_last_strike_buries_a_job,
            reaping L0 progress_starts_the_count_of_crashes_anew,
            reaping L0 an_ended_lease_never_expires,
            batch Batch outcomes_of_a_batch_come_in_its_order,
            batch Batch a_bad_job_changes_nothing_for_its_neighbours,
            batch Batch a_fenced_settle_changes_nothing_for_its_neighbours,
            batch Batch a_lost_beat_changes_nothing_for_its_neighbours,
            batch Batch the_same_item_twice_in_a_batch_is_done_once,
            batch Batch a_batch_is_its_items_in_sequence,
            batch Batch empty_batches_are_fine,
            batch Batch a_batch_of_the_declared_size_is_taken,
            unique Unique a_second_job_of_a_held_key_is_not_inserted,
            unique Unique a_repeat_of_the_holder_is_a_duplicate,
            unique Unique a_hold_until_start_is_freed_by_the_first_claim,
            unique Unique a_hold_until_done_is_freed_by_every_end,
            unique Unique a_hold_for_a_time_is_freed_by_time_alone,
            unique Unique a_freed_key_is_not_taken_again_by_a_retry,
            unique Unique a_replacement_takes_the_place_of_a_pending_holder,
            unique Unique a_reschedule_keeps_the_payload_of_the_holder,
            unique Unique a_key_is_held_in_its_queue_only,
            unique Unique a_revived_job_takes_its_key_like_an_enqueue,
            unique Unique two_jobs_of_a_key_never_overlap,
            cron Cron an_entry_that_nobody_wrote_has_no_cell,
            cron Cron a_cell_is_kept_whole,
            cron Cron a_slot_is_won_once,
            cron Cron a_swap_from_another_slot_loses,
            cron Cron a_swap_of_an_older_revision_loses,
            cron Cron a_repeated_swap_enqueues_nothing_twice,
            cron Cron entries_are_apart,
            cron Cron workers_at_the_same_moment_win_once,
            control Control a_cancel_ends_what_does_not_run,
            control Control a_cancelled_job_that_crashes_is_not_run_again,
            control Control a_reschedule_moves_pending_jobs_only,
            control Control a_revived_job_starts_anew,
            control Control a_revived_job_that_had_expired_runs,
            control Control only_ended_jobs_can_be_deleted,
            control Control the_id_of_a_deleted_job_is_known_for_a_minute,
            control Control stats_count_every_state,
            pausing Control no_claim_takes_from_a_paused_queue,
            pausing Control a_pause_holds_for_a_queue_without_jobs,
            pausing Control a_pause_among_claims_holds_when_it_returns,
            listing List a_listing_agrees_with_every_field_of_its_filter,
            listing List pages_are_complete_while_jobs_come_and_go,
            listing List a_control_by_filter_reaches_all_in_pages,
            limits Limits running_jobs_of_a_queue_keep_its_limit,
            limits Limits every_end_of_a_lease_makes_room,
            limits Limits each_group_keeps_the_limit_of_groups,
            limits Limits a_group_may_have_a_limit_of_its_own,
            limits Limits a_blocked_group_does_not_hold_up_the_others,
            limits Limits a_group_goes_on_in_order_when_it_has_room,
            limits Limits claims_keep_their_rate_in_any_window,
            limits Limits a_claim_says_when_a_rate_allows_the_next_job,
            limits Limits a_limit_replaces_the_one_before,
            limits Limits a_repeated_claim_takes_no_more_of_a_limit,
            waits Waits a_job_starts_after_the_one_it_waits_for,
            waits Waits a_job_starts_after_all_it_waits_for,
            waits Waits a_failed_wait_cancels_or_runs_as_asked,
            waits Waits a_failure_passes_down_a_chain_of_a_thousand,
            waits Waits a_wait_for_an_ended_job_is_decided_at_once,
            waits Waits a_wait_for_an_unknown_job_is_refused,
            waits Waits a_waiting_job_can_be_cancelled_and_revived,
            waits Waits a_job_that_waited_is_not_started_before_its_time,
            wake Wake a_hint_follows_every_enqueue,
            wake Wake a_hint_follows_the_enqueue_of_a_later_job,
            wake Wake a_hint_follows_jobs_that_come_with_a_settle,
            wake Wake a_hint_follows_the_jobs_of_a_slot,
            wake Wake a_hint_follows_a_resume,
            wake Wake every_worker_hears_the_hint,
            wake Wake a_cancel_request_reaches_the_owner,
            time Time nothing_is_claimed_a_millisecond_early,
            time Time part_of_a_millisecond_is_rounded_up,
            time Time every_reply_tells_the_clock_of_the_store,
            time Time a_lease_runs_out_at_its_end,
            time Time a_lease_from_the_future_has_run_out,
            time Time a_job_past_its_expiry_is_not_started,
            time Time ended_jobs_are_kept_for_their_time,
            time Time a_prune_forgets_at_most_its_limit,
            durable Durable records_survive_a_restart,
            durable Durable a_claim_can_be_repeated_after_a_restart,
            durable Durable ids_are_known_after_a_restart,
            durable Durable pauses_and_what_is_declared_survive_a_restart,
            durable Durable what_was_acknowledged_survives_a_kill,
            stress Stress clients_at_once_never_share_a_lease,
            stress Stress random_calls_at_once_lose_nothing,
            linear Stress replies_are_those_of_one_call_after_the_other,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __job_tests {
    (($name:ident) ($harness:expr) ($($level:ident)+) $($module:ident $of:ident $case:ident,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression below may name what is outside")]
            use super::*;

            fn suite() -> $crate::jobs::Suite {
                let levels = &[$($crate::jobs::Level::$level),+];
                let results = option_env!("CARGO_TARGET_TMPDIR");
                $crate::jobs::Suite::new(stringify!($name), results, $harness, levels)
                    .at(module_path!())
            }

            $(
                #[test]
                fn $case() {
                    suite().case(stringify!($case));
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __job_table {
    ($($module:ident $level:ident $case:ident,)*) => {
        &[$(Case {
            chapter: stringify!($module),
            name: stringify!($case),
            level: Level::$level,
            run: |cx| Box::pin($module::$case(cx)),
        },)*]
    };
}

/// All cases, in order.
pub const CASES: &[Case] = crate::__job_cases! { __job_table, };
