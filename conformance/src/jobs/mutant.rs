//! Stores that are wrong in one way each. They prove that the suite has teeth: every [`Mutant`] breaks one
//! promise of a good store, and a guarantee named beforehand must fail for it.
//!
//! [`MutantStore`] wraps any store at the port, so its faults are those that a worker can see. It works
//! over your store too: if a mutant of it survives, either your store hides the fault or the suite has a hole.

mod claims;
mod notes;
mod settles;
mod store;
mod views;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tideway::jobs::JobStore;
use tideway_engine::jobs::call::Caps;

use notes::Notes;

crate::mutants::mutants! {
    /// A settle applies whatever its token.
    FenceRemoved => a_settle_with_another_token_is_fenced,
    /// A settle applies if the token is right, whoever sends it.
    OwnerIgnored => a_settle_by_another_owner_is_fenced,
    /// The reaper ends whatever lease the job has now.
    RescueById => a_crash_of_another_lease_is_fenced,
    /// The reaper ends leases that have not run out.
    CrashUnchecked => a_crash_needs_a_lapsed_lease,
    /// A settle of a lapsed lease is refused though nobody reaped it.
    LateFinishRefused => a_late_finish_counts_until_the_job_is_reaped,
    /// A token is given again after a release or a crash.
    TokenReused => a_lease_given_back_is_never_valid_again,
    /// A repeated settle is not recognised.
    SettleForgotten => a_repeated_settle_changes_nothing,
    /// Follow-up jobs are inserted though the settle is fenced.
    FollowUpsWhenFenced => a_settle_by_another_owner_is_fenced,
    /// Follow-up jobs are left out.
    FollowUpsLost => follow_up_jobs_are_inserted_once_with_a_success,
    /// A job that fails is taken out and not put back.
    LostOnError => a_retry_is_due_after_its_backoff,
    /// A failed attempt is due again at once.
    BackoffIgnored => a_retry_is_due_after_its_backoff,
    /// Failed attempts are refunded like snoozes.
    RefundAlways => a_retry_is_due_after_its_backoff,
    /// A retry wins over a cancel request.
    CancelOverridden => a_cancel_request_overrides_what_would_put_the_job_back,
    /// Results are dropped.
    ResultLost => a_success_is_recorded_with_its_result,
    /// Checkpoints are dropped.
    ProgressLost => progress_is_kept_over_retries,
    /// An abandoned job is given back at once.
    AbandonFrees => an_abandoned_job_runs_until_its_lease_is_out,
    /// Strikes are not counted.
    NeverBuried => the_last_strike_buries_a_job,
    /// A claim takes one job too many.
    OverLimit => a_claim_takes_at_most_its_limit,
    /// A claim takes any number of bytes.
    OverBytes => a_claim_takes_at_most_its_bytes_but_at_least_one_job,
    /// A lane gives more than its share.
    LaneShareIgnored => each_lane_gives_at_most_its_own_share,
    /// A lane that is asked again gives nothing more.
    LaneOnce => a_lane_asked_again_gives_more,
    /// Lanes are served by name.
    LanesSorted => lanes_are_served_in_the_order_asked,
    /// A lane is served from its end.
    FifoBroken => a_lane_is_first_in_first_out,
    /// A lane is served by id, whatever is due first.
    OrderById => a_lane_is_first_in_first_out,
    /// Suspects are claimed with the others.
    SuspectsMixed => a_crashed_job_waits_among_the_suspects_only,
    /// A job is due a millisecond before its time.
    EarlyByOne => nothing_is_claimed_a_millisecond_early,
    /// No claim says when the next job is due.
    NextDueMissing => a_claim_says_when_the_next_job_is_due,
    /// The number of a claim is not looked at: a repeat claims more.
    SeqIgnored => a_repeated_claim_returns_the_same_jobs,
    /// The number of a claim that found nothing is forgotten.
    EmptyClaimForgotten => a_claim_that_found_nothing_counts_too,
    /// Two claims at the same time may get the same job.
    DoubleLease => clients_at_once_never_share_a_lease,
    /// Large payloads are cut.
    PayloadCut => payloads_of_every_size_are_kept,
    /// Another job under a known id passes for a repeat.
    ConflictUnnoticed => another_job_under_a_known_id_is_a_conflict,
    /// A batch ends at its first bad item.
    BatchAborts => a_bad_job_changes_nothing_for_its_neighbours,
    /// A settle batch ends at its first bad item.
    SettleBatchAborts => a_fenced_settle_changes_nothing_for_its_neighbours,
    /// The last job of a large batch is lost.
    BatchTruncated => a_batch_of_the_declared_size_is_taken,
    /// Outcomes of an enqueue come in the wrong order.
    OutcomesReversed => outcomes_of_a_batch_come_in_its_order,
    /// A beat for an ended job runs it again.
    BeatResurrects => a_beat_never_resurrects_an_ended_job,
    /// Every beat is answered as if the lease were held.
    BeatUnfenced => a_beat_of_another_lease_is_lost,
    /// Beats extend nothing.
    BeatIgnored => a_beat_extends_the_lease,
    /// Beats do not tell of cancel requests.
    CancelUntold => a_beat_tells_of_a_cancel_request,
    /// Live leases are listed as expired.
    ExpiredListsLive => only_lapsed_leases_are_listed_as_expired,
    /// Each page of expired leases is the first.
    ExpiredCursorDropped => pages_of_expired_leases_lose_none,
    /// Pages of expired leases go on at a number of rows.
    ExpiredByOffset => pages_of_expired_leases_lose_none_while_they_are_reaped,
    /// Every expired lease was alone.
    CompanyForgotten => an_expired_lease_tells_its_company,
    /// Unique keys are not looked at.
    UniqueIgnored => a_second_job_of_a_held_key_is_not_inserted,
    /// A key held until start is held until done.
    UniqueLeaked => a_hold_until_start_is_freed_by_the_first_claim,
    /// A hold for a time ends with its job.
    HoldEndsWithJob => a_hold_for_a_time_is_freed_by_time_alone,
    /// A reschedule takes the new payload.
    RescheduleOverwrites => a_reschedule_keeps_the_payload_of_the_holder,
    /// Every worker wins the slot.
    CronDoubled => a_slot_is_won_once,
    /// Who loses a slot enqueues all the same.
    CronLoserEnqueues => a_slot_is_won_once,
    /// An older revision wins.
    CronRevisionIgnored => a_swap_of_an_older_revision_loses,
    /// Claims take from a paused queue.
    PauseLeaked => no_claim_takes_from_a_paused_queue,
    /// A running job is not asked to stop.
    CancelIgnored => a_cancel_ends_what_does_not_run,
    /// Pending jobs can be deleted.
    DeletesPending => only_ended_jobs_can_be_deleted,
    /// The id of a job is forgotten with its record.
    IdForgottenAtDelete => the_id_of_a_deleted_job_is_known_for_a_minute,
    /// A revived job expires as it was enqueued.
    ExpiryOutlivesRevival => a_revived_job_that_had_expired_runs,
    /// One running job more than allowed.
    LimitOffByOne => running_jobs_of_a_queue_keep_its_limit,
    /// Rates are not kept.
    RateIgnored => claims_keep_their_rate_in_any_window,
    /// The limit of each group is not kept.
    GroupLimitIgnored => each_group_keeps_the_limit_of_groups,
    /// Jobs start without waiting.
    WaitsIgnored => a_job_starts_after_the_one_it_waits_for,
    /// Only the first enqueue is hinted at.
    HintOnlyOnce => a_hint_follows_every_enqueue,
    /// Cancel requests are not hinted at.
    CancelHintLost => a_cancel_request_reaches_the_owner,
    /// Listings ignore the group.
    FilterIgnoresGroup => a_listing_agrees_with_every_field_of_its_filter,
    /// Pages of a listing go on at a number of rows.
    ListByOffset => pages_are_complete_while_jobs_come_and_go,
    /// A control by filter ends after its first page.
    ControlStopsEarly => a_control_by_filter_reaches_all_in_pages,
    /// A prune knows no limit.
    PruneUnlimited => a_prune_forgets_at_most_its_limit,
    /// Succeeded jobs are not counted.
    StatsIncomplete => stats_count_every_state,
    /// A read may show a job as it was before its settle.
    StaleReads => replies_are_those_of_one_call_after_the_other,
    /// Checkpoints are kept by the process alone.
    ProgressNotStored => records_survive_a_restart,
    /// The numbers of claims are kept by the process alone.
    SeqNotStored => a_claim_can_be_repeated_after_a_restart,
    /// Ids are known to the process alone.
    IdsNotStored => ids_are_known_after_a_restart,
    /// Pauses are kept by the process alone.
    PauseNotStored => pauses_and_what_is_declared_survive_a_restart,
}

/// A store that is wrong in one way.
///
/// ```
/// use tideway_conformance::jobs::{Mutant, MutantStore};
/// use tideway_memory::Memory;
///
/// let wrong = MutantStore::new(Memory::default(), Some(Mutant::FenceRemoved));
/// # let _ = tideway::jobs::DynJobStore::new(wrong);
/// ```
pub struct MutantStore<S> {
    inner: S,
    mutant: Option<Mutant>,
    caps: Caps,
    /// Tells an opened store from one that was opened before.
    opened: u64,
    notes: Mutex<Notes>,
}

static OPENED: AtomicU64 = AtomicU64::new(1);

impl<S: JobStore> MutantStore<S> {
    /// `inner` with this fault; `None` leaves it as good as it is.
    pub fn new(inner: S, mutant: Option<Mutant>) -> Self {
        Self {
            caps: inner.caps(),
            inner,
            mutant,
            opened: OPENED.fetch_add(1, Ordering::SeqCst),
            notes: Mutex::default(),
        }
    }

    /// Declares `caps` instead of what the store within declares: durability, say, where a test
    /// keeps that store and opens this one again.
    #[must_use]
    pub fn declaring(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
