//! The broker suite: what must hold of a backend that carries messages between processes, one test per sentence.
//!
//! Each case opens handles on one broker, under names of its own, and speaks to them through
//! [`PubSub`](tideway::pubsub::PubSub) alone. [`mutant`] breaks a good broker in one way after another, so that each
//! guarantee is seen to fail for one that deserves it.
//!
#![doc = include_str!("../../docs/guide/custom-pubsub.md")]

mod cx;
mod harness;
pub mod mutant;
mod suite;
mod timer;

pub mod cuts;
pub mod delivering;
pub mod handles;
pub mod names;
pub mod slow;

pub use crate::judge::{Came, Judged};
pub use cx::{Cx, Subscriber};
pub use harness::{Harness, OpenError};
pub use mutant::{Mutant, MutantBroker, MutantPubSub};
pub use suite::{Case, Suite};

/// Runs the broker suite: a module `name` with one `#[test]` per guarantee.
///
/// - `name`: an identifier; also the broker's name in the table of results.
/// - `harness`: an expression of a type that implements [`Harness`](crate::pubsub::Harness), evaluated for
///   each case.
#[macro_export]
macro_rules! pubsub_suite {
    (name: $name:ident, harness: $harness:expr $(,)?) => {
        $crate::__pubsub_cases! { __pubsub_tests, ($name) ($harness) }
    };
}

/// All cases: module and function.
#[doc(hidden)]
#[macro_export]
macro_rules! __pubsub_cases {
    ($then:ident, $($args:tt)*) => {
        $crate::$then! { $($args)*
            delivering a_message_reaches_every_subscriber_once,
            delivering messages_come_in_the_order_they_were_published,
            delivering calls_in_flight_keep_their_order,
            delivering two_publishers_keep_their_own_order,
            delivering a_publisher_hears_itself,
            delivering nothing_comes_before_it_is_asked_for,
            delivering nothing_is_missed_once_subscribed,
            delivering nothing_comes_after_an_unsubscribe,
            delivering what_waits_is_gone_with_an_unsubscribe,
            delivering a_channel_can_be_subscribed_to_again,
            delivering every_subscribe_is_answered,
            delivering payloads_of_every_size_arrive_whole,
            delivering a_message_over_the_cap_is_refused_alone,
            delivering history_is_as_declared,
            delivering a_handle_is_told_that_it_is_connected,
            names names_are_exact,
            names the_longest_name_is_whole,
            names many_channels_go_in_one_call,
            slow a_slow_consumer_is_told,
            slow a_slow_consumer_hears_again,
            slow a_queue_is_full_by_bytes_too,
            handles events_end_with_the_handle,
            handles a_dropped_handle_frees_its_subscriptions,
            handles an_unsubscribe_frees_the_channel,
            handles the_last_of_many_changes_counts,
            cuts a_cut_is_told_and_mended,
            cuts what_is_published_while_cut_off_is_refused,
            cuts nothing_comes_twice_over_cuts,
            cuts a_question_while_cut_off_is_answered_later,
            cuts what_is_left_while_cut_off_stays_left,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __pubsub_tests {
    (($name:ident) ($harness:expr) $($module:ident $case:ident,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression below may name what is outside")]
            use super::*;

            fn suite() -> $crate::pubsub::Suite {
                let results = option_env!("CARGO_TARGET_TMPDIR");
                $crate::pubsub::Suite::new(stringify!($name), results, $harness)
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
macro_rules! __pubsub_table {
    ($($module:ident $case:ident,)*) => {
        &[$(Case {
            chapter: stringify!($module),
            name: stringify!($case),
            run: |cx| Box::pin(async { Came::from($module::$case(cx).await) }),
        },)*]
    };
}

/// All cases, in order.
pub const CASES: &[Case] = crate::__pubsub_cases! { __pubsub_table, };
