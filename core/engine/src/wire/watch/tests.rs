//! The watch against its table, its laws and the sentences it must keep.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::table::render;

const MILLI: u64 = 1_000_000;

/// Each a different length, so that a deadline is known by its time.
fn limits() -> Limits {
    Limits {
        first_byte: Duration::from_millis(11),
        header: Duration::from_millis(13),
        keep_alive: Duration::from_millis(60),
        body_in: Duration::from_millis(31),
        body_out: Duration::from_millis(37),
        drain: Duration::from_millis(5),
    }
}

fn at(millis: u64) -> Mono {
    Mono::from_nanos(1 + millis * MILLI)
}

fn watch() -> Watch {
    Watch::new(&limits(), at(0))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    Rx(usize),
    Tx(usize),
    TxBlocked,
    TxDrained,
    Multiplexed,
    Head,
    BodyWanted,
    BodyTaken,
    Idle(bool),
    Closing,
    Eof,
}

fn give(watch: &mut Watch, now: Mono, input: Input) {
    match input {
        Input::Rx(bytes) => watch.handle_rx(now, bytes),
        Input::Tx(bytes) => watch.handle_tx(now, bytes),
        Input::TxBlocked => watch.handle_tx_blocked(now),
        Input::TxDrained => watch.handle_tx_drained(),
        Input::Multiplexed => watch.multiplexed(),
        Input::Head => watch.handle_head(now),
        Input::BodyWanted => watch.handle_body_wanted(now),
        Input::BodyTaken => watch.handle_body_taken(),
        Input::Idle(buffered) => watch.handle_idle(now, buffered),
        Input::Closing => watch.handle_closing(now),
        Input::Eof => watch.handle_eof(now),
    }
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Input::Rx),
        4 => (0..3_usize).prop_map(Input::Tx),
        2 => Just(Input::TxBlocked),
        1 => Just(Input::TxDrained),
        1 => Just(Input::Multiplexed),
        4 => Just(Input::Head),
        2 => Just(Input::BodyWanted),
        1 => Just(Input::BodyTaken),
        3 => any::<bool>().prop_map(Input::Idle),
        1 => Just(Input::Closing),
        1 => Just(Input::Eof),
    ]
}

/// Inputs, each some milliseconds after the one before.
fn script() -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec((0..20_u64, input()), 0..40)
}

/// All there is to see from outside.
fn seen(watch: &Watch) -> (Option<(Mono, &'static str)>, Option<Cut>, bool) {
    (watch.poll_timeout(), watch.cut(), watch.is_idle())
}

/// How far a run goes after its last input: past every deadline.
const REST: u64 = 200;

/// Every event with the millisecond it came in, driving by exact deadlines.
fn run_exact(script: &[(u64, Input)]) -> Vec<(u64, Cut)> {
    let (mut watch, mut ended, mut time) = (watch(), Vec::new(), 0);
    let rest = (REST, None);
    for (after, input) in script.iter().map(|&(t, i)| (t, Some(i))).chain([rest]) {
        time += after;
        while let Some((due, name)) = watch.poll_timeout()
            && due <= at(time)
        {
            watch.handle_timeout(due);
            let cut = watch.poll_event().expect("a reported deadline cuts");
            assert_eq!(cut.name(), name);
            ended.push(((due.as_nanos() - 1) / MILLI, cut));
        }
        if let Some(input) = input {
            give(&mut watch, at(time), input);
        }
    }
    ended
}

/// The same, never asking for the deadline, looking in every millisecond instead.
fn run_ticks(script: &[(u64, Input)]) -> Vec<(u64, Cut)> {
    let (mut watch, mut ended, mut time) = (watch(), Vec::new(), 0);
    let mut until = 0;
    let rest = (REST, None);
    for (after, input) in script.iter().map(|&(t, i)| (t, Some(i))).chain([rest]) {
        until += after;
        while time <= until {
            watch.handle_timeout(at(time));
            ended.extend(watch.poll_event().map(|cut| (time, cut)));
            time += 1;
        }
        // The next input may come in the same millisecond, after the deadlines due in it.
        time = until;
        if let Some(input) = input {
            give(&mut watch, at(until), input);
        }
    }
    ended
}

const PHASES: [Phase; 6] = [
    Phase::First,
    Phase::Head,
    Phase::Busy,
    Phase::Idle,
    Phase::Closing,
    Phase::Done,
];

const EVENTS: [Event; 10] = [
    Event::Rx,
    Event::Frames,
    Event::Tx,
    Event::Multiplexed,
    Event::Head,
    Event::Over,
    Event::OverBuffered,
    Event::Eof,
    Event::Close,
    Event::Due,
];

/// A watch that came to `phase` by ordinary inputs, all at the start.
fn reach(phase: Phase, multiplexed: bool) -> Watch {
    use Input::{Closing, Head, Idle, Multiplexed, Rx};
    let path: &[Input] = match (phase, multiplexed) {
        (Phase::First, _) => &[],
        (Phase::Head, _) => &[Rx(1)],
        (Phase::Busy, false) => &[Rx(1), Head],
        (Phase::Busy, true) => &[Rx(1), Multiplexed, Head],
        (Phase::Idle, false) => &[Rx(1), Head, Idle(false)],
        (Phase::Idle, true) => &[Rx(1), Multiplexed],
        (Phase::Closing | Phase::Done, false) => &[Closing],
        (Phase::Closing | Phase::Done, true) => &[Rx(1), Multiplexed, Closing],
    };
    let mut watch = watch();
    for &input in path {
        give(&mut watch, at(0), input);
    }
    if phase == Phase::Done {
        watch.handle_timeout(at(5));
    }
    assert_eq!(watch.phase, phase);
    watch
}

#[test]
fn it_obeys_its_table_in_every_phase() {
    for phase in PHASES {
        for event in EVENTS {
            let mut watch = reach(phase, event == Event::Frames);
            if event == Event::Frames && !watch.multiplexed {
                assert_eq!(next(phase, event), None, "no such bytes before the preface");
                continue;
            }
            let now = match event {
                Event::Due => {
                    // Busy has no deadline of its own.
                    give(&mut watch, at(0), Input::TxBlocked);
                    at(REST)
                }
                _ => at(1),
            };
            let before = seen(&watch);
            match event {
                Event::Rx | Event::Frames => watch.handle_rx(now, 1),
                Event::Tx => watch.handle_tx(now, 1),
                Event::Multiplexed => watch.multiplexed(),
                Event::Head => watch.handle_head(now),
                Event::Over => watch.handle_idle(now, false),
                Event::OverBuffered => watch.handle_idle(now, true),
                Event::Eof => watch.handle_eof(now),
                Event::Close => watch.handle_closing(now),
                Event::Due => watch.handle_timeout(now),
            }
            let Some(to) = next(phase, event) else {
                assert_eq!(watch.phase, phase, "{phase:?} on {event:?}");
                assert_eq!(seen(&watch).0, before.0, "{phase:?} on {event:?}");
                continue;
            };
            assert_eq!(watch.phase, to, "{phase:?} on {event:?}");
            // The preface came with the bytes it was told from.
            let start = if event == Event::Multiplexed {
                at(0)
            } else {
                now
            };
            let expected = to.deadline().map(|deadline| {
                let after = limits().nanos()[deadline as usize];
                (start.plus(Duration::from_nanos(after)), deadline.name())
            });
            assert_eq!(watch.poll_timeout(), expected, "{phase:?} on {event:?}");
        }
    }
}

#[test]
fn the_documented_table_is_the_one_it_runs_on() {
    let table = render(Watch::transitions());
    assert_eq!(
        include_str!("../phase.md"),
        table,
        "phase.md should be:\n{table}"
    );
}

#[test]
fn it_is_small() {
    assert!(size_of::<Watch>() <= 128, "{} bytes", size_of::<Watch>());
}

/// Gives inputs at their milliseconds, never late for a deadline; says how it ended.
fn play(watch: &mut Watch, inputs: impl IntoIterator<Item = (u64, Input)>) -> Option<Cut> {
    for (millis, input) in inputs {
        watch.handle_timeout(at(millis));
        give(watch, at(millis), input);
    }
    watch.cut()
}

#[test]
fn a_trickled_head_gains_no_time() {
    let mut watch = watch();
    let cut = play(&mut watch, (0..20).map(|ms| (ms, Input::Rx(1))));
    assert_eq!(cut, Some(Cut::Header));
}

#[test]
fn a_trickled_body_lives_and_a_stalled_one_is_cut() {
    let mut watch = reach(Phase::Busy, false);
    give(&mut watch, at(0), Input::BodyWanted);
    let trickle = (1..50).map(|n| (n * 30, Input::Rx(1)));
    assert_eq!(play(&mut watch, trickle), None);
    assert_eq!(watch.poll_timeout(), Some((at(49 * 30 + 31), "body in")));
}

#[test]
fn asking_again_for_the_body_gains_no_time() {
    let mut watch = reach(Phase::Busy, false);
    let cut = play(&mut watch, (0..40).map(|ms| (ms, Input::BodyWanted)));
    assert_eq!(cut, Some(Cut::BodyIn));
}

#[test]
fn trying_again_to_write_gains_no_time() {
    let mut watch = reach(Phase::Busy, false);
    let cut = play(&mut watch, (0..40).map(|ms| (ms, Input::TxBlocked)));
    assert_eq!(cut, Some(Cut::BodyOut));
}

#[test]
fn a_slow_reader_of_the_last_bytes_is_not_idle() {
    let mut watch = reach(Phase::Idle, false);
    give(&mut watch, at(0), Input::TxBlocked);
    assert_eq!(
        play(&mut watch, (1..50).map(|n| (n * 30, Input::Tx(1)))),
        None
    );
    assert_eq!(
        play(&mut watch, [(3_000, Input::Rx(0))]),
        Some(Cut::BodyOut)
    );
}

#[test]
fn a_slow_handler_is_none_of_its_business() {
    let watch = reach(Phase::Busy, false);
    assert_eq!(watch.poll_timeout(), None);
}

#[test]
fn a_half_closed_client_gets_its_pipelined_answers() {
    let mut watch = reach(Phase::Busy, false);
    let pipelined = [
        (1, Input::Eof),
        (2, Input::Idle(true)),
        (3, Input::Head),
        (90, Input::Idle(false)),
    ];
    assert_eq!(play(&mut watch, pipelined), None);
    assert_eq!(watch.poll_timeout(), Some((at(95), "drain")));
}

#[test]
fn streams_are_counted() {
    let mut watch = reach(Phase::Busy, true);
    let streams = [(1, Input::Head), (2, Input::Idle(false)), (3, Input::Rx(1))];
    assert_eq!(play(&mut watch, streams), None);
    assert!(!watch.is_idle());
    assert_eq!(watch.poll_timeout(), None);
    give(&mut watch, at(4), Input::Idle(false));
    assert!(watch.is_idle());
    assert_eq!(watch.poll_timeout(), Some((at(64), "keep-alive")));
}

#[test]
fn pings_keep_a_multiplexed_connection() {
    let mut watch = reach(Phase::Idle, true);
    assert_eq!(
        play(&mut watch, (1..50).map(|n| (n * 50, Input::Rx(17)))),
        None
    );
    assert_eq!(watch.poll_timeout(), Some((at(49 * 50 + 60), "keep-alive")));
}

#[test]
fn a_preface_behind_a_request_starts_no_deadline_in_the_past() {
    let mut watch = reach(Phase::Busy, false);
    let inputs = [(500, Input::Idle(true)), (509, Input::Multiplexed)];
    assert_eq!(play(&mut watch, inputs), None);
    assert_eq!(watch.poll_timeout(), Some((at(560), "keep-alive")));
}

#[test]
fn closing_again_gains_no_time() {
    let mut watch = reach(Phase::Closing, false);
    let inputs = (1..9).flat_map(|ms| [(ms, Input::Closing), (ms, Input::Tx(1))]);
    assert_eq!(play(&mut watch, inputs), Some(Cut::Drain));
}

#[test]
fn the_longest_limit_is_none() {
    let limits = Limits {
        first_byte: Duration::MAX,
        ..Limits::default()
    };
    assert_eq!(Watch::new(&limits, at(0)).poll_timeout(), None);
}

proptest! {
    #[test]
    fn nothing_waits_unreported(script in script()) {
        prop_assert_eq!(run_exact(&script), run_ticks(&script));
    }

    #[test]
    fn it_ends_at_most_once(script in script()) {
        prop_assert!(run_exact(&script).len() <= 1);
    }

    #[test]
    fn after_a_timeout_every_deadline_is_later(script in script(), late in 0..30_u64) {
        let (mut watch, mut time) = (watch(), 0);
        for (after, input) in script {
            time += after;
            watch.handle_timeout(at(time + late));
            prop_assert!(watch.poll_timeout().is_none_or(|(due, _)| due > at(time + late)));
            give(&mut watch, at(time + late), input);
        }
    }

    #[test]
    fn a_cut_was_reported_before(script in script()) {
        let (mut watch, mut time) = (watch(), 0);
        for (after, input) in script {
            time += after;
            let reported = watch.poll_timeout();
            watch.handle_timeout(at(time));
            if let Some(cut) = watch.poll_event() {
                let (due, name) = reported.unwrap();
                prop_assert!(due <= at(time));
                prop_assert_eq!(name, cut.name());
                prop_assert_eq!(watch.cut(), Some(cut));
            }
            give(&mut watch, at(time), input);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(script in script()) {
        let (mut a, mut b, mut time) = (watch(), watch(), 0);
        for (after, input) in script {
            time += after;
            for watch in [&mut a, &mut b] {
                watch.handle_timeout(at(time));
                give(watch, at(time), input);
            }
            prop_assert_eq!(seen(&a), seen(&b));
        }
    }

    #[test]
    fn after_the_end_every_input_is_a_no_op(script in script(), more in script()) {
        let (mut watch, mut time) = (watch(), 0);
        for (after, input) in script {
            time += after;
            give(&mut watch, at(time), input);
        }
        // A request in progress may run for ever; a closing connection may not.
        watch.handle_closing(at(time));
        watch.handle_timeout(at(time + REST));
        prop_assert!(watch.is_done());
        prop_assert_eq!(watch.poll_timeout(), None);
        prop_assert_eq!(watch.poll_event(), watch.cut());
        let before = seen(&watch);
        for (after, input) in more {
            time += after;
            watch.handle_timeout(at(time));
            give(&mut watch, at(time), input);
            prop_assert_eq!(seen(&watch), before);
            prop_assert_eq!(watch.poll_event(), None);
        }
    }

    /// Whatever a peer does, only a request in progress may leave no deadline running.
    #[test]
    fn a_peer_can_never_hold_a_connection_for_nothing(script in script()) {
        let (mut watch, mut time) = (watch(), 0);
        for (after, input) in script {
            time += after;
            watch.handle_timeout(at(time));
            give(&mut watch, at(time), input);
            let deadline = watch.poll_timeout().is_some();
            prop_assert!(deadline || watch.is_done() || !watch.is_idle());
        }
    }
}
