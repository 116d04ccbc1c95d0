//! One outbox under random calls, compared with what its policies promise.

use proptest::prelude::*;

use super::*;
use crate::hub::Outgoing as Output;

/// A frame that is told apart from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) bytes: usize,
}

impl Frame for Numbered {
    fn allocated(&self) -> usize {
        self.bytes
    }
}

#[derive(Clone, Debug)]
enum Call {
    Offer(Policy, u64, usize),
    Send(usize),
    Wait(usize),
    Redeem(usize),
    Withdraw(usize),
    Take,
    Written(usize),
    Finish,
    Cut,
    Gone,
}

fn call() -> impl Strategy<Value = Call> {
    let policy = prop::sample::select(vec![
        Policy::DropOldest,
        Policy::DropNewest,
        Policy::Conflate,
        Policy::Close,
    ]);
    let size = || prop_oneof![Just(0), 1..100_usize, 1..1200_usize];
    prop_oneof![
        40 => (policy, 0..4_u64, size()).prop_map(|(p, key, n)| Call::Offer(p, key, n)),
        20 => size().prop_map(Call::Send),
        10 => size().prop_map(Call::Wait),
        10 => (0..4_usize).prop_map(Call::Redeem),
        4 => (0..4_usize).prop_map(Call::Withdraw),
        30 => Just(Call::Take),
        20 => (0..3_usize).prop_map(Call::Written),
        1 => Just(Call::Finish),
        1 => Just(Call::Cut),
        1 => Just(Call::Gone),
    ]
}

const LIMITS: Limits = Limits {
    window: 300,
    queue: 1_000,
};

/// Everything that happens to one outbox.
struct Bench {
    outbox: Outbox<Numbered>,
    number: u64,
    /// Frames taken and not written.
    window: Vec<usize>,
    tickets: Vec<(Ticket, usize)>,
    told: Vec<Ticket>,
    /// What was accepted, and by which policy; none is a send.
    kept: Vec<(u64, Option<(Policy, u64)>)>,
    taken: Vec<u64>,
    closes: u32,
    /// What was queued was dropped by a close.
    cut: bool,
    /// Someone was told to take frames, and was not left without since.
    woken: bool,
}

impl Bench {
    fn new() -> Self {
        Self {
            outbox: Outbox::new(LIMITS),
            number: 0,
            window: Vec::new(),
            tickets: Vec::new(),
            told: Vec::new(),
            kept: Vec::new(),
            taken: Vec::new(),
            closes: 0,
            cut: false,
            woken: false,
        }
    }

    fn frame(&mut self, bytes: usize) -> Numbered {
        self.number += 1;
        let number = self.number;
        Numbered { number, bytes }
    }

    fn wake(&mut self, wake: bool) {
        self.woken |= wake;
    }

    fn run(&mut self, call: &Call) -> Result<(), TestCaseError> {
        let open = self.outbox.is_open();
        let empty = self.outbox.is_empty();
        match *call {
            Call::Offer(policy, key, bytes) => {
                let frame = self.frame(bytes);
                let offered = self.outbox.offer(&frame, policy, key);
                prop_assert!(open || !offered.kept);
                if offered.kept {
                    prop_assert_eq!(offered.wake, empty, "woken exactly from empty");
                    self.kept.push((frame.number, Some((policy, key))));
                }
                if policy == Policy::Close && open && !offered.kept {
                    prop_assert!(!self.outbox.is_open(), "it closes rather than lose a frame");
                    prop_assert!(offered.wake);
                    self.cut = true;
                }
                self.wake(offered.wake);
            }
            Call::Send(bytes) => {
                let frame = self.frame(bytes);
                match self.outbox.send(&frame) {
                    Ok(wake) => {
                        prop_assert_eq!(wake, empty);
                        self.kept.push((frame.number, None));
                        self.wake(wake);
                    }
                    Err(SendError::Full) => prop_assert!(
                        open && !empty || !self.window.is_empty() || !self.tickets.is_empty()
                    ),
                    Err(SendError::Closed) => prop_assert!(!open),
                    Err(SendError::TooLarge { limit, .. }) => prop_assert!(bytes > limit),
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
            Call::Wait(bytes) => {
                if let Ok(ticket) = self.outbox.wait(bytes) {
                    prop_assert!(open);
                    self.tickets.push((ticket, bytes));
                }
            }
            Call::Redeem(nth) => {
                if let Some((ticket, bytes)) = self.tickets.get(nth).copied() {
                    let frame = self.frame(bytes);
                    match self.outbox.redeem(ticket, &frame) {
                        Ok(wake) => {
                            prop_assert!(
                                self.told.contains(&ticket),
                                "told before it can be redeemed"
                            );
                            prop_assert_eq!(wake, empty);
                            self.kept.push((frame.number, None));
                            self.wake(wake);
                            self.tickets.remove(nth);
                        }
                        Err(SendError::NotYet) => {
                            prop_assert!(!self.told.contains(&ticket), "set aside, yet refused");
                        }
                        Err(SendError::Closed) => {
                            prop_assert!(!open);
                            self.tickets.remove(nth);
                        }
                        Err(error) => prop_assert!(false, "{}", error),
                    }
                }
            }
            Call::Withdraw(nth) => {
                if nth < self.tickets.len() {
                    self.outbox.withdraw(self.tickets.remove(nth).0);
                }
            }
            Call::Take => match self.outbox.poll() {
                Some(Output::Frame(frame)) => {
                    let before: usize = self.window.iter().sum();
                    prop_assert!(before == 0 || before + frame.bytes <= LIMITS.window);
                    prop_assert!(self.woken, "nobody was told to take it");
                    self.window.push(frame.bytes);
                    self.taken.push(frame.number);
                }
                Some(Output::Close(_)) => self.closes += 1,
                // Stopped by the window alone, it looks again when something is written.
                None => self.woken &= !self.outbox.is_empty(),
            },
            Call::Written(frames) => {
                for bytes in self.window.drain(..frames.min(self.window.len())) {
                    self.outbox.handle_written(bytes);
                }
            }
            Call::Finish => {
                let wake = self.outbox.finish(Close::DONE);
                self.wake(wake);
            }
            Call::Cut => {
                let wake = self.outbox.cut(Close::AWAY);
                self.cut |= wake;
                self.wake(wake);
            }
            Call::Gone => {
                self.outbox.handle_gone();
                self.cut = true;
            }
        }
        while let Some(told) = self.outbox.poll_told() {
            prop_assert!(!self.told.contains(&told), "told once");
            self.told.push(told);
        }
        let limit = LIMITS.window + LIMITS.queue;
        prop_assert!(
            self.outbox.queued() <= limit,
            "{} bytes",
            self.outbox.queued()
        );
        let window: usize = self.window.iter().sum();
        if !self.outbox.is_done() {
            prop_assert!(
                self.outbox.queued() >= window,
                "it answers for what it gave out"
            );
        }
        if self.outbox.is_empty() && window == 0 && self.outbox.is_open() {
            let first = self.tickets.first();
            prop_assert!(
                first.is_none_or(|(first, _)| self.told.contains(first)),
                "room, and yet it waits"
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn memory_order_wakes_and_the_close_hold_under_any_calls(calls in prop::collection::vec(call(), 1..120)) {
        let mut bench = Bench::new();
        for call in &calls {
            bench.run(call)?;
        }
        // What is left comes out.
        if bench.outbox.is_open() {
            for (ticket, _) in std::mem::take(&mut bench.tickets) {
                bench.outbox.withdraw(ticket);
            }
            bench.run(&Call::Finish)?;
        }
        for _ in 0..400 {
            bench.run(&Call::Take)?;
            bench.run(&Call::Written(9))?;
        }
        let gone = calls.iter().any(|call| matches!(call, Call::Gone));
        prop_assert!(bench.closes == 1 || gone, "{} closes", bench.closes);
        prop_assert!(bench.closes <= 1);
        prop_assert!(bench.outbox.is_done());

        // Order: what came out is a part of what went in, in that order.
        let mut kept = bench.kept.iter();
        for number in &bench.taken {
            prop_assert!(kept.any(|(kept, _)| kept == number), "{} out of order", number);
        }
        // No frame that somebody waited for, or that may not be dropped, is missing unless it was cut off.
        if !bench.cut {
            for (number, policy) in &bench.kept {
                let droppable = matches!(policy, Some((Policy::DropOldest | Policy::Conflate, _)));
                prop_assert!(droppable || bench.taken.contains(number), "{} is lost", number);
            }
        }
        bench.outbox.handle_gone();
        prop_assert_eq!(bench.outbox.queued(), 0, "freed");
    }
}

fn offer(
    outbox: &mut Outbox<Numbered>,
    number: u64,
    bytes: usize,
    policy: Policy,
    key: u64,
) -> Offered {
    outbox.offer(&Numbered { number, bytes }, policy, key)
}

fn drain(outbox: &mut Outbox<Numbered>) -> (Vec<u64>, Option<Close>) {
    let (mut numbers, mut close) = (Vec::new(), None);
    while let Some(output) = outbox.poll() {
        match output {
            Output::Frame(frame) => {
                outbox.handle_written(frame.bytes);
                numbers.push(frame.number);
            }
            Output::Close(with) => assert_eq!(close.replace(with), None),
        }
    }
    (numbers, close)
}

/// What a client that read nothing finds when it reads again.
fn after_a_stall(policy: Policy) -> (Vec<u64>, Option<Close>) {
    let mut outbox = Outbox::new(LIMITS);
    for number in 0..40 {
        offer(&mut outbox, number, 100, policy, number % 3);
    }
    drain(&mut outbox)
}

#[test]
fn each_policy_does_to_a_slow_client_what_it_says() {
    let (oldest, close) = after_a_stall(Policy::DropOldest);
    assert_eq!((oldest.last(), close), (Some(&39), None));
    assert!(
        oldest.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "the newest, whole: {oldest:?}"
    );
    assert!(oldest.len() >= 6, "{oldest:?}");

    let (newest, close) = after_a_stall(Policy::DropNewest);
    assert_eq!((newest.first(), close), (Some(&0), None));
    assert!(
        newest.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "the oldest, whole: {newest:?}"
    );

    assert_eq!(after_a_stall(Policy::Conflate), (vec![37, 38, 39], None));
    assert_eq!(after_a_stall(Policy::Close), (vec![], Some(Close::SLOW)));
}

#[test]
fn a_close_passes_the_full_queue_of_the_very_client_it_closes() {
    let mut outbox = Outbox::new(LIMITS);
    for number in 0..40 {
        offer(&mut outbox, number, 100, Policy::DropNewest, 0);
    }
    while outbox.poll().is_some() {}
    assert!(!outbox.is_empty(), "the window is full");
    assert!(
        outbox.cut(Close::AWAY),
        "it is woken though the queue was not empty"
    );
    assert_eq!(outbox.poll(), Some(Output::Close(Close::AWAY)));
    assert_eq!((outbox.poll(), outbox.is_done()), (None, true));
}

#[test]
fn a_room_full_of_chatter_does_not_keep_a_waiting_send_out() {
    let mut outbox = Outbox::new(LIMITS);
    let frame = Numbered {
        number: 1_000,
        bytes: 700,
    };
    for number in 0..40 {
        offer(&mut outbox, number, 100, Policy::DropOldest, 0);
    }
    assert_eq!(outbox.send(&frame), Err(SendError::Full));
    let ticket = outbox.wait(frame.bytes).unwrap();
    for number in 40..80 {
        offer(&mut outbox, number, 100, Policy::DropOldest, 0);
    }
    assert_eq!(outbox.poll_told(), Some(ticket));
    assert_eq!(outbox.redeem(ticket, &frame), Ok(false));
    assert!(drain(&mut outbox).0.contains(&1_000));
}

#[test]
fn a_send_that_is_dropped_while_it_waits_lets_the_next_one_in() {
    let mut outbox = Outbox::new(LIMITS);
    assert_eq!(
        outbox.send(&Numbered {
            number: 1,
            bytes: 900
        }),
        Ok(true)
    );
    let first = outbox.wait(900).unwrap();
    let second = outbox.wait(50).unwrap();
    assert_eq!(outbox.poll_told(), None, "the second does not overtake");
    assert_eq!(
        outbox.send(&Numbered {
            number: 2,
            bytes: 1
        }),
        Err(SendError::Full),
        "nor does a new one"
    );
    outbox.withdraw(first);
    assert_eq!(outbox.poll_told(), Some(second));
    outbox.withdraw(second);
    assert_eq!(
        outbox.send(&Numbered {
            number: 3,
            bytes: 50
        }),
        Ok(false)
    );
}

#[test]
fn who_waits_when_the_connection_ends_is_told() {
    for gone in [false, true] {
        let mut outbox = Outbox::new(LIMITS);
        assert_eq!(
            outbox.send(&Numbered {
                number: 1,
                bytes: 1_000
            }),
            Ok(true)
        );
        let ticket = outbox.wait(900).unwrap();
        if gone {
            outbox.handle_gone();
        } else {
            outbox.finish(Close::DONE);
        }
        assert_eq!(outbox.poll_told(), Some(ticket));
        let frame = Numbered {
            number: 2,
            bytes: 900,
        };
        assert_eq!(outbox.redeem(ticket, &frame), Err(SendError::Closed));
    }
}

#[test]
fn the_line_of_those_who_wait_is_capped() {
    let mut outbox = Outbox::<Numbered>::new(LIMITS);
    for _ in 0..1_024 {
        outbox.wait(1_000).unwrap();
    }
    assert_eq!(outbox.wait(1_000), Err(SendError::Crowded));
    assert!(matches!(
        outbox.wait(2_000),
        Err(SendError::TooLarge { .. })
    ));
}

#[test]
fn a_frame_is_shared_and_an_idle_outbox_is_small() {
    let frame = std::sync::Arc::new(vec![0_u8; 1 << 20]);
    #[derive(Clone)]
    struct Shared(std::sync::Arc<Vec<u8>>);
    impl Frame for Shared {
        fn allocated(&self) -> usize {
            self.0.len()
        }
    }
    let limits = Limits {
        window: 1 << 20,
        queue: 1 << 20,
    };
    let mut outboxes: Vec<_> = (0..10_000).map(|_| Outbox::new(limits)).collect();
    for outbox in &mut outboxes {
        assert!(outbox.offer(&Shared(frame.clone()), Policy::Close, 0).kept);
    }
    assert_eq!(
        std::sync::Arc::strong_count(&frame),
        10_001,
        "one megabyte, not ten thousand"
    );
    for outbox in &mut outboxes {
        while outbox.poll().is_some() {}
        outbox.handle_written(1 << 20);
        assert!(outbox.queued() <= 256, "{} bytes", outbox.queued());
    }
    assert_eq!(std::sync::Arc::strong_count(&frame), 1);
    assert!(
        size_of::<Outbox<Shared>>() <= 144,
        "{}",
        size_of::<Outbox<Shared>>()
    );
}
