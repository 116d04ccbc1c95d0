//! The adapter suite: what must hold of a server on an async runtime, one test per sentence.
//!
//! Each case starts a server of its own through [`tideway_driver::serve`], in a thread that runs the
//! runtime under test, and talks to it with blocking sockets from the outside. After each case the
//! books are checked: every exchange that began has ended exactly once. Times are asserted as lower
//! bounds, and as one generous upper one ([`claim::LIMIT`]) that tells late from never.
//!
//! The rejected alternative is a mock of `Runtime`'s parts, method by method: every adapter that was
//! ever wrong was wrong in how its parts met (a reader that sleeps on a readiness it has used up, a timer
//! that forgets its waker), and that shows only under a whole server.
//!
//! # Your own runtime
//!
//! One macro line in a file under `tests/`:
//!
//! ```
//! tideway_conformance::adapter_suite! {
//!     name: smol,
//!     runtime: tideway_smol::Smol::default(),
//!     block_on: smol::block_on,
//! }
//! ```

pub mod claim;
pub mod client;
pub mod gate;
mod harness;
pub mod http2_client;
mod ledger;
mod receives;
pub mod reply;
pub mod results;
mod site;

pub mod basics;
pub mod bodies;
pub mod deadlines;
pub mod dialing;
pub mod endings;
pub mod http2;
pub mod listening;
pub mod many;
pub mod refusals;
pub mod runtime;
pub mod stopping;
pub mod websocket;

pub use harness::Harness;
pub use ledger::{Entry, Ledger};
pub use site::{Site, SiteBuilder};

/// Runs the adapter suite on a runtime: a module `name` with one `#[test]` per guarantee.
///
/// - `name`: an identifier; also the runtime's name in the table of results.
/// - `runtime`: an expression of a type that implements [`Runtime`](tideway_driver::Runtime), evaluated
///   inside of what `block_on` runs, once for each server.
/// - `block_on`: something that is `Fn(BoxFuture<'static, ()>)` and runs the future to its end on
///   the calling thread, with the runtime running. It is called from several threads at once.
#[macro_export]
macro_rules! adapter_suite {
    (name: $name:ident, runtime: $runtime:expr, block_on: $block_on:expr $(,)?) => {
        $crate::__cases! { __tests, ($name) ($runtime) ($block_on) }
    };
}

/// All cases: module, function, and whether it must have the process to itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($then:ident, $($args:tt)*) => {
        $crate::$then! { $($args)*
            basics hello,
            basics a_connection_serves_a_hundred_requests,
            basics pipelined_requests_are_answered_in_order,
            basics an_answer_does_not_wait_for_a_partial_next_request,
            basics small_pieces_are_not_held_back,
            basics head_is_answered_without_a_body,
            basics a_panic_is_a_500_and_the_connection_lives,
            basics at_most_one_and_a_half_receives_per_request alone,
            bodies an_upload_of_256_mib_takes_constant_memory alone,
            bodies a_chunked_upload_of_256_mib_takes_constant_memory alone,
            bodies a_slow_reader_bounds_what_is_produced,
            bodies continue_is_sent_when_the_body_is_read,
            bodies no_continue_is_sent_for_a_body_nobody_reads,
            refusals a_malformed_head_is_answered_and_closed,
            refusals an_oversized_head_is_answered_and_closed,
            refusals a_refused_upload_hears_why,
            refusals a_wrong_host_is_answered_and_closed,
            refusals a_smuggled_request_is_never_answered,
            refusals an_error_reply_follows_the_answers_before_it,
            deadlines a_silent_socket_is_closed,
            deadlines a_trickled_header_is_cut,
            deadlines a_stalled_body_is_cut,
            deadlines a_trickled_body_is_cut,
            deadlines a_slow_reader_is_cut,
            deadlines a_slow_http2_reader_is_cut,
            deadlines an_answer_past_its_total_time_is_cut,
            deadlines a_late_handler_is_a_503_and_the_connection_lives,
            deadlines an_idle_connection_is_closed,
            http2 prior_knowledge_on_the_same_port,
            http2 a_fast_stream_overtakes_a_slow_one,
            http2 fifty_streams_at_once,
            http2 a_reset_stream_ends_its_handler,
            endings a_client_that_goes_is_noticed_at_once,
            endings a_client_that_goes_with_bytes_pipelined_is_noticed_by_the_deadline,
            endings a_client_that_goes_with_its_body_unread_is_noticed_by_the_deadline,
            endings a_client_that_goes_in_the_middle_of_a_download_is_noticed,
            stopping a_stop_lets_requests_end,
            stopping a_stop_past_its_deadline_cuts_and_says_so,
            stopping a_second_stop_forces,
            stopping a_lame_duck_still_serves,
            websocket frames_behind_the_handshake_are_not_lost,
            websocket a_broken_handshake_is_refused_and_the_connection_lives,
            websocket a_handler_neither_blocks_nor_breaks_the_protocol,
            websocket a_stalled_reader_makes_its_sender_wait,
            websocket a_silent_peer_is_cut_by_the_heartbeat,
            websocket a_stop_closes_sockets_and_cuts_who_does_not_answer,
            websocket sockets_of_clients_that_vanish_are_gone,
            dialing a_handler_talks_to_another_server,
            dialing a_handshake_that_fails_says_why,
            dialing a_stop_closes_what_the_app_opened,
            many ten_thousand_idle_connections alone,
            many connections_over_the_cap_wait,
            listening a_unix_socket_serves,
            listening a_socket_bound_before_serves_what_came_early,
            listening failing_accepts_back_off_and_recover,
            runtime a_spawned_task_outlives_its_spawner,
            runtime a_sleep_is_never_early,
            runtime a_sleep_can_be_moved,
            runtime blocking_work_stalls_nobody,
            runtime it_connects_and_says_why_it_cannot,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($name:ident) ($runtime:expr) ($block_on:expr) $($module:ident $case:ident $($alone:ident)?,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "the expressions below may name what is outside")]
            use super::*;

            fn harness() -> $crate::suite::Harness<impl $crate::Runtime> {
                let results = option_env!("CARGO_TARGET_TMPDIR");
                $crate::suite::Harness::new(stringify!($name), results, || $runtime, $block_on)
            }

            $(
                #[test]
                fn $case() {
                    let alone = !stringify!($($alone)?).is_empty();
                    harness().case(stringify!($case), alone, $crate::suite::$module::$case);
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ($($module:ident $case:ident $($alone:ident)?,)*) => {
        &[$((stringify!($module), stringify!($case)),)*]
    };
}

/// All cases by module and name, in order.
pub const CASES: &[(&str, &str)] = crate::__cases! { __names, };
