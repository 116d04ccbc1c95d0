//! An inbox between a broker and a reader that do anything in any order: what the port promises holds.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    messages: 4,
    bytes: 40,
};

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Forget(u8),
    /// The broker gets the orders, and answers up to so many of those it has.
    Broker(u8),
    Refuse,
    Publish(u8),
    Disconnect,
    Read(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u8).prop_map(Step::Ask),
        2 => (0..3u8).prop_map(Step::Forget),
        4 => (0..3u8).prop_map(Step::Broker),
        1 => Just(Step::Refuse),
        8 => (0..3u8).prop_map(Step::Publish),
        1 => Just(Step::Disconnect),
        4 => (0..6u8).prop_map(Step::Read),
    ]
}

fn channel(n: u8) -> Channel {
    Channel::new(format!("c{n}")).unwrap()
}

/// A broker that does at once what it is told and confirms it later, and a reader that checks what it reads.
struct World {
    inbox: Inbox,
    events: Events,
    connected: bool,
    /// Those it sends messages of.
    sends: BTreeMap<Channel, bool>,
    unconfirmed: Vec<Channel>,
    /// The number of the last message of each channel.
    published: BTreeMap<Channel, u64>,
    /// Of what the reader was told that it is subscribed to, the number expected next if one was seen.
    reads: BTreeMap<Channel, Option<u64>>,
    /// An answer is owed.
    owed: BTreeMap<Channel, bool>,
    lost: usize,
}

impl World {
    fn new() -> Self {
        let inbox = Inbox::new(LIMITS);
        Self {
            events: inbox.events(),
            inbox,
            connected: false,
            sends: BTreeMap::new(),
            unconfirmed: Vec::new(),
            published: BTreeMap::new(),
            reads: BTreeMap::new(),
            owed: BTreeMap::new(),
            lost: 0,
        }
    }

    fn broker(&mut self, answers: usize) {
        if !self.connected {
            self.connected = true;
            self.inbox.connected();
        }
        let orders = self.inbox.orders(512);
        for channel in orders.unsubscribe {
            assert!(!self.unconfirmed.contains(&channel), "an answer is owed");
            assert!(self.sends.remove(&channel).is_some(), "there was one");
        }
        for channel in orders.subscribe {
            assert!(!self.sends.contains_key(&channel), "it has it already");
            self.sends.insert(channel.clone(), true);
            self.unconfirmed.push(channel);
        }
        for channel in self
            .unconfirmed
            .drain(..answers.min(self.unconfirmed.len()))
        {
            self.inbox.subscribed(&channel);
        }
    }

    fn publish(&mut self, channel: Channel) {
        let number = self.published.entry(channel.clone()).or_default();
        *number += 1;
        if self.sends.contains_key(&channel) {
            // Each takes ten bytes or eighteen.
            let size = if number.is_multiple_of(3) { 18 } else { 10 };
            let mut payload = vec![b' '; size];
            payload[..8].copy_from_slice(&number.to_be_bytes());
            self.inbox.message(&channel, payload.into(), None);
        }
    }

    fn read(&mut self) -> bool {
        let Some(Some(event)) = self.events.next().now_or_never() else {
            return false;
        };
        match event {
            Event::Connected => {}
            Event::Subscribed(channel) => {
                self.owed.remove(&channel);
                self.reads.entry(channel).or_default();
            }
            Event::Lost(Some(channel)) => {
                self.lost += 1;
                self.owed.remove(&channel);
                self.reads.remove(&channel);
            }
            Event::Lost(None) => self.reads.clear(),
            Event::Message {
                channel, payload, ..
            } => {
                let (number, _) = payload.split_first_chunk().unwrap();
                let number = u64::from_be_bytes(*number);
                let expected = self.reads.get_mut(&channel);
                let expected = expected.unwrap_or_else(|| panic!("{channel} was not told"));
                assert!(expected.is_none_or(|expected| expected == number), "a gap");
                *expected = Some(number + 1);
            }
        }
        true
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Ask(n) => {
                self.owed.insert(channel(n), true);
                self.inbox.ask(&[channel(n)]);
            }
            Step::Forget(n) => {
                self.owed.remove(&channel(n));
                self.reads.remove(&channel(n));
                self.inbox.forget(&[channel(n)]);
            }
            Step::Broker(answers) => self.broker(answers.into()),
            Step::Refuse => {
                if let Some(channel) = self.unconfirmed.pop() {
                    self.sends.remove(&channel);
                    self.inbox.refused(&channel);
                }
            }
            Step::Publish(n) => self.publish(channel(n)),
            Step::Disconnect => {
                self.connected = false;
                self.sends.clear();
                self.unconfirmed.clear();
                self.inbox.disconnected();
            }
            Step::Read(times) => {
                for _ in 0..times {
                    self.read();
                }
            }
        }
        let (messages, bytes) = self.inbox.queued();
        assert!(messages <= LIMITS.messages && bytes <= LIMITS.bytes);
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_missed_in_silence(steps in vec(step(), 0..200)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        // Everything comes to rest: every question has its answer, and what is subscribed to comes in.
        loop {
            // What it is asked after the answers it asks for at once too.
            world.broker(9);
            world.broker(9);
            if !world.read() {
                break;
            }
        }
        prop_assert!(world.owed.is_empty(), "no answer for {:?}", world.owed);
        let (subscribed, told): (Vec<_>, Vec<_>) = (
            world.sends.keys().cloned().collect(),
            world.reads.keys().cloned().collect(),
        );
        prop_assert_eq!(&subscribed, &told);
        prop_assert_eq!(world.inbox.queued(), (0, 0));
        for channel in subscribed {
            world.publish(channel.clone());
            prop_assert!(world.read(), "nothing of {channel}");
        }
    }

    #[test]
    fn the_queue_is_bounded_though_nobody_reads(steps in vec(step(), 0..400)) {
        let mut world = World::new();
        for step in steps {
            if !matches!(step, Step::Read(_)) {
                world.run(step);
            }
        }
        let mut read = 0;
        while world.events.next().now_or_never().is_some() {
            read += 1;
        }
        // Four messages; of each of three channels it is told, lost and told again; twice, before and after one
        // loss of all; and that it is connected.
        prop_assert!(read <= 4 + 2 * 3 * 3 + 3, "{read} events");
    }
}

#[test]
fn a_message_larger_than_the_queue_is_taken_alone() {
    let mut world = World::new();
    world.run(Step::Ask(1));
    world.broker(1);
    let send = |world: &World, size| world.inbox.message("c1", vec![0; size].into(), None);
    send(&world, 1000);
    assert_eq!(world.inbox.queued(), (1, 1000));
    send(&world, 0);
    assert_eq!(world.inbox.queued(), (1, 1000));
    let mut read = || world.events.next().now_or_never().flatten();
    assert_eq!(read(), Some(Event::Connected));
    assert_eq!(read(), Some(Event::Subscribed(channel(1))));
    assert!(matches!(read(), Some(Event::Message { .. })));
    assert_eq!(read(), Some(Event::Lost(Some(channel(1)))));
    assert_eq!(read(), Some(Event::Subscribed(channel(1))));
    assert_eq!(read(), None);
}

#[test]
fn the_newest_stream_goes_on_and_a_closed_one_ends() {
    let inbox = Inbox::new(LIMITS);
    let mut first = inbox.events();
    inbox.connected();
    let mut second = inbox.events();
    assert_eq!(first.next().now_or_never(), Some(None));
    inbox.close();
    assert_eq!(second.next().now_or_never(), Some(Some(Event::Connected)));
    assert_eq!(second.next().now_or_never(), Some(None));
}
