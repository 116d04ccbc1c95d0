//! Messages joined for many: offered as one where they all find room, they are dealt with as if they came one by one.

use proptest::prelude::*;

use super::*;
use crate::ws::{Encoded, Parcel};

const LIMITS: Limits = Limits {
    window: 1_000,
    queue: 3_000,
};

fn number(message: &Encoded) -> u32 {
    u32::from_be_bytes(message.payload()[..4].try_into().unwrap())
}

/// Offers as the owner of an outbox does.
fn offer(outbox: &mut Outbox<Parcel>, messages: &[Encoded], policy: Policy) {
    match Parcel::join(messages.iter()) {
        Some(run) if outbox.has_room(run.allocated()) => {
            let before = outbox.dropped();
            assert!(outbox.offer(&run, policy, 0).kept);
            assert_eq!(outbox.dropped(), before);
        }
        _ => {
            for message in messages {
                outbox.offer(&Parcel::One(message.clone()), policy, 0);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_run_is_dealt_with_message_by_message(
        policy in prop::sample::select(vec![Policy::DropOldest, Policy::DropNewest, Policy::Close]),
        steps in prop::collection::vec((1..9_usize, 4..300_usize, 0..5_usize), 1..60),
    ) {
        let mut outbox = Outbox::new(LIMITS);
        let (mut next, mut taken, mut given) = (0, Vec::new(), Vec::new());
        for (count, len, takes) in steps {
            let messages: Vec<Encoded> = (0..count)
                .map(|_| {
                    let mut payload = vec![0; len];
                    payload[..4].copy_from_slice(&u32::to_be_bytes(next));
                    next += 1;
                    Encoded::binary(&payload)
                })
                .collect();
            let dropped = outbox.dropped();
            offer(&mut outbox, &messages, policy);
            prop_assert!(outbox.queued() <= LIMITS.window + LIMITS.queue);
            if policy == Policy::Close && outbox.dropped() > dropped {
                prop_assert!(!outbox.is_open());
                prop_assert!(outbox.is_empty());
                return Ok(());
            }
            for _ in 0..takes {
                if let Some(Outgoing::Frame(parcel)) = outbox.poll() {
                    given.push(parcel.allocated());
                    match parcel {
                        Parcel::One(message) => taken.push(number(&message)),
                        Parcel::Run(run) => taken.extend(run.map(|message| number(&message))),
                    }
                }
                if let Some(bytes) = given.pop() {
                    outbox.handle_written(bytes);
                }
            }
        }
        while let Some(Outgoing::Frame(parcel)) = outbox.poll() {
            outbox.handle_written(parcel.allocated());
            match parcel {
                Parcel::One(message) => taken.push(number(&message)),
                Parcel::Run(run) => taken.extend(run.map(|message| number(&message))),
            }
        }
        prop_assert!(taken.is_sorted_by(|a, b| a < b), "in order, each once: {taken:?}");
        prop_assert_eq!(taken.len() as u64 + outbox.dropped(), u64::from(next), "each has one fate");
        if policy == Policy::DropOldest {
            prop_assert_eq!(taken.last(), Some(&(next - 1)), "the newest is kept");
        }
        given.drain(..).for_each(|bytes| outbox.handle_written(bytes));
        prop_assert!(outbox.queued() <= 1_000, "nothing is counted for ever: {}", outbox.queued());
    }
}

#[test]
fn the_oldest_of_a_run_is_dropped_alone() {
    let message = |n: u32| Encoded::binary(&[&n.to_be_bytes()[..], &[0; 296]].concat());
    let mut outbox = Outbox::new(LIMITS);
    let messages: Vec<Encoded> = (0..9).map(message).collect();
    offer(&mut outbox, &messages, Policy::DropOldest);
    assert_eq!((outbox.len(), outbox.dropped()), (1, 0));
    let before = outbox.queued();
    let mut kept = 9;
    while outbox.dropped() == 0 {
        offer(&mut outbox, &[message(kept)], Policy::DropOldest);
        kept += 1;
    }
    assert!(kept > 9 && outbox.queued() >= before - 400);
    assert_eq!(outbox.dropped(), 1, "one made room for one");
    let Some(Outgoing::Frame(Parcel::Run(run))) = outbox.poll() else {
        panic!("the run is still first");
    };
    assert_eq!(
        run.map(|message| number(&message)).collect::<Vec<_>>(),
        (1..9).collect::<Vec<_>>()
    );
}
