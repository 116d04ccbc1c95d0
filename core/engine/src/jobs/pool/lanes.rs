//! Which lanes a claim asks, in which order, and how many from each: smooth weighted round robin over
//! queues and bands, or strict order.

use super::super::call::Lane;
use super::super::{SUSPECT, Spec};
use super::config::{Order, Share};

/// The lanes of a pool and how far each is ahead of its share.
#[derive(Debug)]
pub(super) struct Lanes {
    order: Order,
    lanes: Vec<Share32>,
    suspects: Vec<Lane>,
    /// Whose suspects are asked for first: the next queue each time.
    turn: usize,
    /// Scratch: how many of the slots at hand each lane gets.
    quota: Vec<u32>,
}

#[derive(Debug)]
struct Share32 {
    lane: Lane,
    weight: i64,
    credit: i64,
}

/// Beyond this many slots the rest of a claim is shared by priority alone.
const SHARED: u32 = 256;

impl Lanes {
    pub(super) fn new(queues: &[Share], order: Order) -> Self {
        let mut lanes = Vec::with_capacity(queues.len() * Spec::BANDS as usize);
        // Band by band: an urgent job of the last queue goes before a lazy one of the first.
        for band in 0..Spec::BANDS {
            for share in queues {
                lanes.push(Share32 {
                    lane: Lane {
                        queue: share.queue.clone(),
                        band,
                    },
                    weight: i64::from(share.weight.max(1)) << (Spec::BANDS - 1 - band),
                    credit: 0,
                });
            }
        }
        let suspects = queues
            .iter()
            .map(|share| Lane {
                queue: share.queue.clone(),
                band: SUSPECT,
            })
            .collect();
        Self {
            order,
            quota: vec![0; lanes.len()],
            lanes,
            suspects,
            turn: 0,
        }
    }

    /// What to ask for `free` jobs, at most `suspects` of them from all suspects' lanes together.
    pub(super) fn plan(&mut self, free: u32, suspects: u32) -> Vec<(Lane, u32)> {
        let mut plan = Vec::with_capacity(self.lanes.len() * 2 + self.suspects.len());
        let suspects = suspects.min(free);
        if suspects > 0 {
            let queues = self.suspects.len();
            let (each, more) = (suspects / queues as u32, suspects as usize % queues);
            for at in 0..queues {
                let most = each + u32::from(at < more);
                let lane = &self.suspects[(self.turn + at) % queues];
                plan.extend((most > 0).then(|| (lane.clone(), most)));
            }
            self.turn = (self.turn + 1) % queues;
        }
        if self.order == Order::Fair {
            self.share(free.min(SHARED));
            let shares = self.lanes.iter().zip(&self.quota);
            plan.extend(
                shares
                    .filter(|(_, quota)| **quota > 0)
                    .map(|(share, quota)| (share.lane.clone(), *quota)),
            );
        }
        // What a lane does not use the others get, by priority.
        plan.extend(self.lanes.iter().map(|share| (share.lane.clone(), free)));
        plan
    }

    /// Each slot goes to the lane that is furthest behind its share.
    fn share(&mut self, slots: u32) {
        self.quota.fill(0);
        let total: i64 = self.lanes.iter().map(|share| share.weight).sum();
        for _ in 0..slots {
            let mut best = 0;
            for at in 0..self.lanes.len() {
                self.lanes[at].credit += self.lanes[at].weight;
                if self.lanes[at].credit > self.lanes[best].credit {
                    best = at;
                }
            }
            self.lanes[best].credit -= total;
            self.quota[best] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::jobs::Name;

    fn queues(weights: &[u32]) -> Vec<Share> {
        let share = |(n, weight): (usize, &u32)| Share {
            queue: Name::new(&format!("q{n}")).unwrap(),
            weight: *weight,
        };
        weights.iter().enumerate().map(share).collect()
    }

    #[test]
    fn every_lane_gets_its_share_of_single_slots() {
        let mut lanes = Lanes::new(&queues(&[1]), Order::Fair);
        let mut first = [0_u32; 8];
        for _ in 0..255 {
            let plan = lanes.plan(1, 0);
            first[plan[0].0.band as usize] += 1;
        }
        assert_eq!(first, [128, 64, 32, 16, 8, 4, 2, 1]);
    }

    #[test]
    fn all_queues_together_are_asked_for_the_suspects_allowed_and_each_has_its_turn() {
        let mut lanes = Lanes::new(&queues(&[1, 1, 1]), Order::Fair);
        for allowed in 1..8 {
            let mut asked = BTreeSet::new();
            for _ in 0..3 {
                let plan = lanes.plan(8, allowed);
                let suspects = plan.iter().filter(|(lane, _)| lane.band == SUSPECT);
                assert_eq!(suspects.clone().map(|(_, most)| most).sum::<u32>(), allowed);
                asked.extend(suspects.map(|(lane, _)| lane.queue.clone()));
            }
            assert_eq!(asked.len(), 3);
        }
    }

    proptest! {
        #[test]
        fn no_lane_waits_longer_than_one_round(weights in prop::collection::vec(1_u32..5, 1..4), frees in prop::collection::vec(1_u32..20, 1..200)) {
            let mut lanes = Lanes::new(&queues(&weights), Order::Fair);
            let round: u32 = weights.iter().sum::<u32>() * 255;
            let mut waited = vec![0_u32; lanes.lanes.len()];
            for free in frees {
                lanes.plan(free, 0);
                prop_assert_eq!(lanes.quota.iter().sum::<u32>(), free);
                for (waited, quota) in waited.iter_mut().zip(&lanes.quota) {
                    *waited = if *quota > 0 { 0 } else { *waited + free };
                    prop_assert!(*waited <= round);
                }
            }
        }
    }
}
