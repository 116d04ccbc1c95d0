//! The last numbers of topics that are gone, so that a topic that comes back goes on counting.

use std::collections::BTreeMap;

use super::super::Topic;
use crate::map::{Keyed, Map};

/// How many are kept.
pub(super) const KEPT: usize = 1 << 16;

/// Others take a number they know for a repeat, so none is ever used twice in an incarnation. What is
/// forgotten raises the floor for all: numbers may jump, which others see as a gap, but never fall.
#[derive(Debug)]
pub(super) struct Numbers {
    kept: usize,
    of: Map<Topic, (u64, u64)>,
    /// By age.
    order: BTreeMap<u64, Topic>,
    age: u64,
    floor: u64,
}

impl Numbers {
    pub(super) fn new(kept: usize, keyed: Keyed) -> Self {
        Self {
            kept,
            of: Map::with_hasher(keyed),
            order: BTreeMap::new(),
            age: 0,
            floor: 0,
        }
    }

    /// Keeps the last number of a topic that goes.
    pub(super) fn keep(&mut self, topic: Topic, seq: u64) {
        if seq <= self.floor {
            return;
        }
        self.age += 1;
        self.order.insert(self.age, topic.clone());
        if let Some((_, old)) = self.of.insert(topic, (seq, self.age)) {
            self.order.remove(&old);
        }
        if self.of.len() > self.kept
            && let Some((_, oldest)) = self.order.pop_first()
            && let Some((seq, _)) = self.of.remove(&oldest)
        {
            self.floor = self.floor.max(seq);
        }
    }

    /// The number after which a topic that comes goes on.
    pub(super) fn take(&mut self, topic: &Topic) -> u64 {
        match self.of.remove(topic) {
            Some((seq, age)) => {
                self.order.remove(&age);
                seq.max(self.floor)
            }
            None => self.floor,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::jobs::Name;
    use crate::rng::Seed;

    fn topic(n: u8) -> Topic {
        Topic::Room(Name::new(&format!("r{n}")).unwrap())
    }

    proptest! {
        #[test]
        fn no_number_is_ever_used_twice(visits in prop::collection::vec((0..20_u8, 0..4_u64), 0..200)) {
            let mut numbers = Numbers::new(4, Keyed::from_seed(&Seed::from_u64(1)));
            let mut highest = BTreeMap::new();
            for (n, messages) in visits {
                let before = numbers.take(&topic(n));
                prop_assert!(before >= *highest.get(&n).unwrap_or(&0));
                highest.insert(n, before + messages);
                numbers.keep(topic(n), before + messages);
                prop_assert!(numbers.of.len() <= 4 && numbers.order.len() == numbers.of.len());
            }
        }
    }
}
