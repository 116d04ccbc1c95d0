//! Every machine of the engine, held to the laws.

use std::time::Duration;

use tideway_conformance::laws::{
    Machine, Script, bounded, deterministic, end_once, exact_equals_ticks, progress,
};
use tideway_engine::wire::{Cut, Limits, Watch};
use tideway_engine::{Mono, Now, Rng, Seed};

const TICK: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Input {
    Rx(usize),
    Tx(usize),
    TxBlocked,
    TxDrained,
    Multiplexed,
    Head,
    BodyWanted,
    BodyTaken,
    Idle { buffered: bool },
    Closing,
    Eof,
}

fn input(rng: &mut Rng) -> Input {
    match rng.below(24) {
        0..6 => Input::Rx(rng.below(3) as usize),
        6..10 => Input::Tx(rng.below(3) as usize),
        10 | 11 => Input::TxBlocked,
        12 => Input::TxDrained,
        13 => Input::Multiplexed,
        14..17 => Input::Head,
        17 | 18 => Input::BodyWanted,
        19 => Input::BodyTaken,
        20 | 21 => Input::Idle {
            buffered: rng.chance(300_000),
        },
        22 => Input::Closing,
        _ => Input::Eof,
    }
}

struct Watched(Watch);

impl Machine for Watched {
    type Input = Input;
    type Event = Cut;

    fn input(&mut self, now: Now, input: &Input) {
        let (watch, now) = (&mut self.0, now.mono);
        match *input {
            Input::Rx(bytes) => watch.handle_rx(now, bytes),
            Input::Tx(bytes) => watch.handle_tx(now, bytes),
            Input::TxBlocked => watch.handle_tx_blocked(now),
            Input::TxDrained => watch.handle_tx_drained(),
            Input::Multiplexed => watch.multiplexed(),
            Input::Head => watch.handle_head(now),
            Input::BodyWanted => watch.handle_body_wanted(now),
            Input::BodyTaken => watch.handle_body_taken(),
            Input::Idle { buffered } => watch.handle_idle(now, buffered),
            Input::Closing => watch.handle_closing(now),
            Input::Eof => watch.handle_eof(now),
        }
    }

    fn timeout(&mut self, now: Now) {
        self.0.handle_timeout(now.mono);
    }

    fn poll_event(&mut self) -> Option<Cut> {
        self.0.poll_event()
    }

    fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.0.poll_timeout()
    }

    fn is_done(&self) -> bool {
        self.0.is_done()
    }

    fn queued(&self) -> usize {
        0
    }
}

#[test]
fn the_watch_keeps_the_laws() {
    let limits = Limits {
        first_byte: 50 * TICK,
        header: 60 * TICK,
        keep_alive: 100 * TICK,
        body_in: 70 * TICK,
        body_out: 80 * TICK,
        drain: 30 * TICK,
    };
    let make = |now: Now| Watched(Watch::new(&limits, now.mono));
    let mut rng = Rng::new(&Seed::from_u64(1));
    for _ in 0..2_000 {
        let script = Script::draw(&mut rng, TICK, 40, input);
        progress(make, &script);
        exact_equals_ticks(make, &script, TICK);
        end_once(make, &script, |_| true);
        bounded(make, &script, 0);
        deterministic(make, &script);
    }
}
