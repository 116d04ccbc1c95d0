//! What an inbox knows, without lock and wakers: for each channel what is wanted and what the broker was asked
//! for, and the queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tideway_engine::hub::Position;

use super::super::{Channel, Event};
use super::{Limits, Orders};

#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    channels: BTreeMap<Channel, Sub>,
    /// Those whose wish may differ from what was asked for.
    changed: BTreeSet<Channel>,
    queue: VecDeque<Event>,
    messages: usize,
    bytes: usize,
    closed: bool,
}

/// One channel.
#[derive(Debug)]
struct Sub {
    wanted: bool,
    asked: Asked,
    /// Its events in the queue.
    queued: usize,
    /// `Subscribed` is among them, and no `Lost` behind it: it answers whoever asks meanwhile too.
    told: bool,
    /// `Lost` is among them, and no `Subscribed` behind it: until it is read nothing is taken.
    full: bool,
}

/// What the broker was asked for. Nothing else is asked while an answer is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Subscribe,
    Confirmed,
}

impl State {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            channels: BTreeMap::new(),
            changed: BTreeSet::new(),
            queue: VecDeque::new(),
            messages: 0,
            bytes: 0,
            closed: false,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn has_events(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn has_orders(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) const fn queued(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    pub(super) fn ask(&mut self, channel: &Channel) {
        let sub = self.channels.entry(channel.clone()).or_insert(Sub {
            wanted: false,
            asked: Asked::Nothing,
            queued: 0,
            told: false,
            full: false,
        });
        sub.wanted = true;
        match sub.asked {
            Asked::Nothing => {
                self.changed.insert(channel.clone());
            }
            Asked::Subscribe => {}
            Asked::Confirmed => {
                self.changed.remove(channel);
                self.tell_subscribed(channel);
            }
        }
    }

    pub(super) fn forget(&mut self, channels: &[Channel]) {
        let mut queued = BTreeSet::new();
        for channel in channels {
            let Some(sub) = self.channels.get_mut(channel) else {
                continue;
            };
            sub.wanted = false;
            (sub.told, sub.full) = (false, false);
            if std::mem::take(&mut sub.queued) > 0 {
                queued.insert(channel);
            }
            match sub.asked {
                Asked::Nothing => {
                    self.channels.remove(channel);
                    self.changed.remove(channel);
                }
                Asked::Subscribe => {}
                Asked::Confirmed => {
                    self.changed.insert(channel.clone());
                }
            }
        }
        if queued.is_empty() {
            return;
        }
        let (mut messages, mut bytes) = (self.messages, self.bytes);
        self.queue.retain(|event| {
            let gone = of(event).is_some_and(|channel| queued.contains(channel));
            if let (true, Event::Message { payload, .. }) = (gone, event) {
                messages -= 1;
                bytes -= payload.len();
            }
            !gone
        });
        (self.messages, self.bytes) = (messages, bytes);
    }

    pub(super) fn orders(&mut self, most: usize) -> Orders {
        let mut orders = Orders::default();
        while orders.subscribe.len() < most
            && orders.unsubscribe.len() < most
            && let Some(channel) = self.changed.pop_first()
        {
            let Some(sub) = self.channels.get_mut(&channel) else {
                continue;
            };
            match (sub.asked, sub.wanted) {
                (Asked::Nothing, true) => {
                    sub.asked = Asked::Subscribe;
                    orders.subscribe.push(channel);
                }
                (Asked::Confirmed, false) => {
                    self.channels.remove(&channel);
                    orders.unsubscribe.push(channel);
                }
                _ => {}
            }
        }
        orders
    }

    pub(super) fn connected(&mut self) {
        self.queue.push_back(Event::Connected);
    }

    pub(super) fn disconnected(&mut self) {
        // One `Lost` of all is enough: what came behind it may be missing too, and it says what those of single
        // channels said. But that a channel was refused stays an answer.
        let (mut told, mut gone) = (false, Vec::new());
        let channels = &self.channels;
        let refused =
            |channel: &Channel| channels.get(channel).is_some_and(|sub: &Sub| !sub.wanted);
        self.queue.retain(|event| {
            let keep = match event {
                Event::Lost(None) => !std::mem::replace(&mut told, true),
                Event::Lost(Some(channel)) => refused(channel),
                _ => !told,
            };
            if !keep {
                gone.push(event.clone());
            }
            keep
        });
        gone.iter().for_each(|event| self.left(event));
        if !told {
            self.queue.push_back(Event::Lost(None));
        }
        self.channels.retain(|_, sub| {
            (sub.asked, sub.told) = (Asked::Nothing, false);
            sub.full &= !sub.wanted;
            sub.wanted || sub.queued > 0
        });
        self.changed = self.channels.keys().cloned().collect();
    }

    pub(super) fn subscribed(&mut self, channel: &str) {
        let Some((channel, sub)) = self.known(channel) else {
            return;
        };
        if sub.asked != Asked::Subscribe {
            return;
        }
        sub.asked = Asked::Confirmed;
        if sub.wanted {
            self.tell_subscribed(&channel);
        } else {
            self.changed.insert(channel);
        }
    }

    pub(super) fn refused(&mut self, channel: &str) {
        let Some((channel, sub)) = self.known(channel) else {
            return;
        };
        (sub.asked, sub.told) = (Asked::Nothing, false);
        let wanted = std::mem::take(&mut sub.wanted);
        if wanted && !std::mem::replace(&mut sub.full, true) {
            self.push(Event::Lost(Some(channel.clone())));
        }
        self.changed.remove(&channel);
        self.drop_unused(&channel);
    }

    pub(super) fn message(&mut self, channel: &str, payload: Bytes, position: Option<Position>) {
        let (limits, messages, bytes) = (self.limits, self.messages, self.bytes);
        let Some((channel, sub)) = self.known(channel) else {
            return;
        };
        if !sub.wanted || sub.asked != Asked::Confirmed || sub.full {
            return;
        }
        let fits = messages < limits.messages && bytes + payload.len() <= limits.bytes;
        if fits || messages == 0 {
            self.messages += 1;
            self.bytes += payload.len();
            self.push(Event::Message {
                channel,
                payload,
                position,
            });
        } else {
            (sub.full, sub.told) = (true, false);
            self.push(Event::Lost(Some(channel)));
        }
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.channels.clear();
        self.changed.clear();
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        self.left(&event);
        if self.queue.is_empty() && self.queue.capacity() > 256 {
            self.queue = VecDeque::new();
        }
        match &event {
            Event::Subscribed(channel) => {
                if let Some(sub) = self.channels.get_mut(channel) {
                    sub.told = false;
                }
            }
            Event::Lost(Some(channel)) => {
                if let Some(sub) = self.channels.get_mut(channel)
                    && std::mem::take(&mut sub.full)
                    && sub.asked == Asked::Confirmed
                {
                    // There is room again, and nothing of it waits behind this; but `Lost` of all may.
                    sub.queued += 1;
                    sub.told = true;
                    self.queue.push_back(Event::Subscribed(channel.clone()));
                }
            }
            _ => {}
        }
        Some(event)
    }

    /// An event is not in the queue any more.
    fn left(&mut self, event: &Event) {
        if let Event::Message { payload, .. } = event {
            self.messages -= 1;
            self.bytes -= payload.len();
        }
        if let Some(channel) = of(event)
            && let Some(sub) = self.channels.get_mut(channel)
        {
            sub.queued = sub.queued.saturating_sub(1);
            self.drop_unused(channel);
        }
    }

    /// A channel is known while it is wanted, while the broker has it, and while something of it is queued.
    fn drop_unused(&mut self, channel: &Channel) {
        let unused = |sub: &Sub| !sub.wanted && sub.asked == Asked::Nothing && sub.queued == 0;
        if self.channels.get(channel).is_some_and(unused) {
            self.channels.remove(channel);
        }
    }

    fn push(&mut self, event: Event) {
        if let Some(sub) = of(&event).and_then(|channel| self.channels.get_mut(channel)) {
            sub.queued += 1;
        }
        self.queue.push_back(event);
    }

    fn tell_subscribed(&mut self, channel: &Channel) {
        if let Some(sub) = self.channels.get_mut(channel)
            && !sub.told
            && !sub.full
        {
            sub.told = true;
            self.push(Event::Subscribed(channel.clone()));
        }
    }

    /// Its name as it was asked for, so that its text is shared.
    fn known(&mut self, channel: &str) -> Option<(Channel, &mut Sub)> {
        let (name, _) = self.channels.get_key_value(channel)?;
        let name = name.clone();
        let sub = self.channels.get_mut(channel)?;
        Some((name, sub))
    }
}

/// The channel an event is of.
const fn of(event: &Event) -> Option<&Channel> {
    match event {
        Event::Subscribed(channel)
        | Event::Lost(Some(channel))
        | Event::Message { channel, .. } => Some(channel),
        Event::Connected | Event::Lost(None) => None,
    }
}
