//! The laws every machine keeps, as functions that panic when one is broken. They know machines
//! only through [`Machine`]; time is virtual and randomness seeded.
//!
//! | Law | Function |
//! |---|---|
//! | 1 chop: any split of the input bytes gives the same outputs | [`chop`] |
//! | 2 progress: after a timeout the next deadline is later, or none | [`progress`] |
//! | 3 nothing waits unreported: exact sleeps equal constant ticks | [`exact_equals_ticks`] |
//! | 4 end once: one end at most, and silence after it | [`end_once`] |
//! | 5 bounded: queued memory stays under its cap | [`bounded`] |
//! | 6 determinism: same inputs and seed, same outputs | [`deterministic`] |

use std::fmt::Debug;
use std::time::Duration;

use tideway_engine::{Mono, Now, Rng, Wall};

/// A machine under test: what all of them have in common.
pub trait Machine {
    /// Anything that is done to it.
    type Input;
    /// Anything it says.
    type Event: PartialEq + Debug;

    /// Does one thing to it.
    fn input(&mut self, now: Now, input: &Self::Input);
    /// Tells it the time.
    fn timeout(&mut self, now: Now);
    /// What it has to say, until `None`.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// Appends the bytes it has to send; most machines have none.
    fn transmit(&mut self, _out: &mut Vec<u8>) {}
    /// When it must be told the time, and why.
    fn poll_timeout(&self) -> Option<(Mono, &'static str)>;
    /// Whether it has ended.
    fn is_done(&self) -> bool;
    /// Bytes it holds; zero for a machine without queues.
    fn queued(&self) -> usize;
}

/// Inputs, each some time after the one before, and a rest in which late deadlines may fall.
#[derive(Clone, Debug)]
pub struct Script<I> {
    /// How long after the one before, and what.
    pub steps: Vec<(Duration, I)>,
    /// How long to watch after the last.
    pub rest: Duration,
}

impl<I> Script<I> {
    /// Up to `longest` inputs, each up to 40 `tick`s apart, the rest 400: a whole number of ticks,
    /// as law 3 wants it.
    pub fn draw(
        rng: &mut Rng,
        tick: Duration,
        longest: u64,
        mut input: impl FnMut(&mut Rng) -> I,
    ) -> Self {
        let len = rng.below(longest + 1);
        let steps = (0..len).map(|_| (tick * rng.below(40) as u32, input(rng)));
        Self {
            steps: steps.collect(),
            rest: tick * 400,
        }
    }

    /// Every input with its instant, then the end with `None`.
    fn times(&self, from: Now) -> impl Iterator<Item = (Now, Option<&I>)> {
        let steps = self
            .steps
            .iter()
            .map(|(after, input)| (*after, Some(input)));
        let mut now = from;
        steps.chain([(self.rest, None)]).map(move |(after, input)| {
            now = now.plus(after);
            (now, input)
        })
    }
}

/// Everything a machine let out: its events with their instants, and its bytes.
#[derive(Debug, PartialEq)]
struct Said<E> {
    events: Vec<(Mono, E)>,
    bytes: Vec<u8>,
}

impl<E> Said<E> {
    fn nothing() -> Self {
        Self {
            events: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn hear<M: Machine<Event = E>>(&mut self, machine: &mut M, now: Now) {
        while let Some(event) = machine.poll_event() {
            self.events.push((now.mono, event));
        }
        machine.transmit(&mut self.bytes);
    }
}

const START: Now = Now::start(Wall(1_700_000_000_000));

/// Law 1: `stream` whole, byte by byte and cut at random say the same. `input` makes the machine's
/// input from a piece; no time passes between pieces.
///
/// Events that carry pieces of a stream must be joined by the [`Machine`] before they compare.
///
/// # Panics
///
/// If the law is broken; so do all the others.
pub fn chop<M: Machine>(
    make: impl Fn(Now) -> M,
    stream: &[u8],
    rng: &mut Rng,
    input: impl Fn(&[u8]) -> M::Input,
) {
    let run = |mut piece: Box<dyn FnMut() -> usize + '_>| {
        let (mut machine, mut said, mut rest) = (make(START), Said::nothing(), stream);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
            machine.input(START, &input(now));
            said.hear(&mut machine, START);
            rest = later;
        }
        said
    };
    let whole = run(Box::new(|| usize::MAX));
    assert_eq!(run(Box::new(|| 1)), whole, "law 1: byte by byte differs");
    for _ in 0..4 {
        let longest = 1 + rng.below(stream.len() as u64);
        let pieces = run(Box::new(|| 1 + rng.below(longest) as usize));
        assert_eq!(pieces, whole, "law 1: cut at random differs");
    }
}

/// Law 2, told the time at every input and at every deadline.
///
/// # Panics
///
/// If after a timeout the next deadline is not later.
pub fn progress<M: Machine>(make: impl Fn(Now) -> M, script: &Script<M::Input>) {
    run_exact(&mut make(START), script, |_| ());
    let mut machine = make(START);
    for (now, input) in script.times(START) {
        machine.timeout(now);
        assert_later(&machine, now);
        if let Some(input) = input {
            machine.input(now, input);
        }
        while machine.poll_event().is_some() {}
    }
}

/// Law 3: sleeping exactly as reported says what looking in at every `tick` says, and when.
/// The script's times and the machine's limits must be whole ticks, so that the two can meet.
///
/// # Panics
///
/// If something happens that no deadline announced, or happens at another time.
pub fn exact_equals_ticks<M: Machine>(
    make: impl Fn(Now) -> M,
    script: &Script<M::Input>,
    tick: Duration,
) {
    let exact = run_exact(&mut make(START), script, |_| ());
    let (mut machine, mut ticked, mut time) = (make(START), Said::nothing(), START);
    for (now, input) in script.times(START) {
        while time.mono < now.mono {
            time = time.plus(tick);
            machine.timeout(time);
            ticked.hear(&mut machine, time);
        }
        if let Some(input) = input {
            machine.input(now, input);
            ticked.hear(&mut machine, now);
        }
    }
    assert_eq!(exact, ticked, "law 3: exact sleeps and ticks differ");
}

/// Law 4: at most one event is an end; once done nothing more is said, and no deadline runs.
///
/// # Panics
///
/// If it ends twice, or speaks after its end.
pub fn end_once<M: Machine>(
    make: impl Fn(Now) -> M,
    script: &Script<M::Input>,
    is_end: impl Fn(&M::Event) -> bool,
) {
    let mut machine = make(START);
    let mut ended = false;
    let said = run_exact(&mut machine, script, |machine| {
        if ended {
            assert!(machine.is_done(), "law 4: it came back to life");
        }
        ended = machine.is_done();
        if ended {
            assert_eq!(
                machine.poll_timeout(),
                None,
                "law 4: a deadline outlives the end"
            );
        }
    });
    let ends = said.events.iter().filter(|(_, event)| is_end(event));
    assert!(
        ends.count() <= 1,
        "law 4: it ended more than once: {said:?}"
    );
    if let Some(end) = said.events.iter().position(|(_, event)| is_end(event)) {
        assert_eq!(
            end + 1,
            said.events.len(),
            "law 4: events after the end: {said:?}"
        );
    }
}

/// Law 5: never more than `cap` bytes are queued.
///
/// # Panics
///
/// If more are.
pub fn bounded<M: Machine>(make: impl Fn(Now) -> M, script: &Script<M::Input>, cap: usize) {
    let mut machine = make(START);
    for (now, input) in script.times(START) {
        machine.timeout(now);
        if let Some(input) = input {
            machine.input(now, input);
        }
        // Nothing is drained here: that is the worst its owner can do.
        let queued = machine.queued();
        assert!(
            queued <= cap,
            "law 5: {queued} bytes queued, the cap is {cap}"
        );
    }
}

/// Law 6: two made alike and driven alike say the same and report the same deadlines.
///
/// # Panics
///
/// If they differ.
pub fn deterministic<M: Machine>(make: impl Fn(Now) -> M, script: &Script<M::Input>) {
    let run = || {
        let mut deadlines = Vec::new();
        let said = run_exact(&mut make(START), script, |machine| {
            deadlines.push(machine.poll_timeout());
        });
        (said, deadlines)
    };
    assert_eq!(run(), run(), "law 6: two runs differ");
}

/// Drives by exact deadlines; `look` sees the machine after every step, drained.
fn run_exact<M: Machine>(
    machine: &mut M,
    script: &Script<M::Input>,
    mut look: impl FnMut(&M),
) -> Said<M::Event> {
    let (mut said, mut time) = (Said::nothing(), START);
    for (now, input) in script.times(START) {
        while let Some((due, _)) = machine.poll_timeout()
            && due <= now.mono
        {
            // A deadline may be due already when it is set; the clock does not go back for it.
            time = time.plus(due.since(time.mono));
            machine.timeout(time);
            said.hear(machine, time);
            assert_later(machine, time);
            look(machine);
        }
        time = now;
        if let Some(input) = input {
            machine.input(now, input);
            said.hear(machine, now);
            look(machine);
        }
    }
    said
}

fn assert_later<M: Machine>(machine: &M, now: Now) {
    if let Some((due, name)) = machine.poll_timeout() {
        assert!(
            due > now.mono,
            "law 2: {name:?} is due again at once: {due:?} after {:?}",
            now.mono
        );
    }
}

#[cfg(test)]
mod tests {
    //! A suite that no broken machine fails proves nothing: one mutant for every law.

    use std::cell::Cell;

    use tideway_engine::Seed;

    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        SplitsMatter,
        DueAgain,
        Unreported,
        EndsTwice,
        Hoards,
    }

    /// Says how many bytes came, five ticks after the first; then ends.
    struct Counter {
        fault: Fault,
        due: Option<Mono>,
        bytes: usize,
        ends: u8,
        done: bool,
        pieces: usize,
    }

    #[derive(Debug, PartialEq)]
    struct End(usize);

    const TICK: Duration = Duration::from_millis(1);

    fn with(fault: Fault) -> impl Fn(Now) -> Counter {
        move |_| Counter {
            fault,
            due: None,
            bytes: 0,
            ends: 0,
            done: false,
            pieces: 0,
        }
    }

    impl Machine for Counter {
        type Input = usize;
        type Event = End;

        fn input(&mut self, now: Now, input: &usize) {
            if self.done {
                return;
            }
            self.bytes += input;
            self.pieces += 1;
            self.due = self.due.or(Some(now.mono.plus(5 * TICK)));
            if self.fault != Fault::Hoards {
                self.bytes = self.bytes.min(8);
            }
        }

        fn timeout(&mut self, now: Now) {
            if self.due.is_some_and(|due| due <= now.mono) {
                self.ends = 1 + u8::from(self.fault == Fault::EndsTwice);
                self.done = true;
                if self.fault != Fault::DueAgain {
                    self.due = None;
                }
            }
        }

        fn poll_event(&mut self) -> Option<End> {
            self.ends = self.ends.checked_sub(1)?;
            Some(End(self.bytes))
        }

        fn transmit(&mut self, out: &mut Vec<u8>) {
            if self.fault == Fault::SplitsMatter {
                out.extend(std::iter::repeat_n(b'.', std::mem::take(&mut self.pieces)));
            }
        }

        fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
            let due = self.due.filter(|_| self.fault != Fault::Unreported)?;
            Some((due, "count"))
        }

        fn is_done(&self) -> bool {
            self.done
        }

        fn queued(&self) -> usize {
            self.bytes
        }
    }

    fn every_law(make: impl Fn(Now) -> Counter) {
        let mut rng = Rng::new(&Seed::from_u64(1));
        for _ in 0..50 {
            let script = Script::draw(&mut rng, TICK, 20, |rng| rng.below(20) as usize);
            chop(&make, b"some bytes", &mut rng, <[u8]>::len);
            progress(&make, &script);
            exact_equals_ticks(&make, &script, TICK);
            end_once(&make, &script, |_| true);
            bounded(&make, &script, 8);
            deterministic(&make, &script);
        }
    }

    #[test]
    fn a_sound_machine_passes() {
        every_law(with(Fault::None));
    }

    #[test]
    #[should_panic(expected = "law 1")]
    fn splits_that_matter_are_found() {
        every_law(with(Fault::SplitsMatter));
    }

    #[test]
    #[should_panic(expected = "law 2")]
    fn a_deadline_due_again_is_found() {
        every_law(with(Fault::DueAgain));
    }

    #[test]
    #[should_panic(expected = "law 3")]
    fn an_unreported_deadline_is_found() {
        every_law(with(Fault::Unreported));
    }

    #[test]
    #[should_panic(expected = "law 4")]
    fn a_second_end_is_found() {
        every_law(with(Fault::EndsTwice));
    }

    #[test]
    #[should_panic(expected = "law 5")]
    fn a_hoard_is_found() {
        every_law(with(Fault::Hoards));
    }

    #[test]
    #[should_panic(expected = "law 6")]
    fn an_influence_from_outside_is_found() {
        let made = Cell::new(0);
        let make = |now| {
            made.set(made.get() + 1);
            let mut machine = with(Fault::None)(now);
            machine.bytes = made.get() % 8;
            machine
        };
        let steps = vec![(TICK, 0)];
        deterministic(
            make,
            &Script {
                steps,
                rest: 9 * TICK,
            },
        );
    }
}
