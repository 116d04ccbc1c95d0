//! The order of what is sent, whatever is taken when.

use proptest::prelude::*;

use super::*;

fn sent(out: &Out) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 64];
    let count = out.fill(&mut slices);
    slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect()
}

fn data(bytes: &'static [u8], front: usize) -> Frame {
    Frame {
        front: bytes[..front].into(),
        rest: Some(bytes[front..].into()),
    }
}

#[test]
fn control_frames_go_between_data_frames_ahead_of_those_queued() {
    let mut out = Out::default();
    out.push(data(b"aaaa", 2));
    out.push(data(b"bbbb", 4));
    out.push_pong(b"pong");
    assert_eq!(sent(&out), b"pongaaaabbbb");
    assert_eq!(out.take(5), Taken::default());
    // A frame that is begun is finished first.
    out.push_ping(b"ping");
    out.set_close(b"close".to_vec());
    assert_eq!(sent(&out), b"aaapingbbbbclose");
    assert_eq!(out.take(6), Taken::default());
    let ping = Taken {
        ping: true,
        close: false,
    };
    assert_eq!(out.take(1), ping);
    assert_eq!(sent(&out), b"bbbbclose");
    assert_eq!((out.data(), out.len()), (4, 9));
    assert_eq!(out.take(8), Taken::default());
    assert!(out.close_begun());
    let close = Taken {
        ping: false,
        close: true,
    };
    assert_eq!(out.take(1), close);
    assert_eq!((sent(&out), out.len()), (vec![], 0));
    assert!(out.urgent.is_none() && out.more.capacity() == 0);
}

/// Pongs of ten bytes, numbered, until the queue is over its cap; how many.
fn flood(out: &mut Out) -> usize {
    for i in 0.. {
        let before = out.len();
        out.push_pong(format!("{i:010}").as_bytes());
        if out.len() == before {
            return i;
        }
    }
    0
}

#[test]
fn the_latest_pong_takes_the_place_of_the_one_before_but_not_of_one_begun() {
    let mut out = Out::default();
    let last = flood(&mut out);
    let all = sent(&out);
    assert!(all.ends_with(format!("{last:010}").as_bytes()));
    // One large Pong, begun: it is finished.
    let mut out = Out::default();
    out.push_pong(&[b'x'; MAX_CONTROL + 100]);
    out.take(10);
    out.push_pong(b"next");
    assert_eq!(out.len(), MAX_CONTROL + 90 + 4);
    // Our Ping is never dropped for a Pong.
    let mut out = Out::default();
    flood(&mut out);
    out.push_ping(b"ping");
    out.push_pong(b"pong");
    out.push_pong(b"last");
    assert!(sent(&out).ends_with(b"pinglast"));
}

#[test]
fn a_queue_that_never_runs_dry_does_not_grow() {
    let mut out = Out::default();
    for i in 0..100_000 {
        out.push_pong(b"0123456789");
        if i % 2 == 0 {
            out.push_ping(b"ping");
        }
        // All but three bytes: the last of a Ping go with the round after.
        let waiting = out.len();
        assert_eq!(out.take(waiting - 3).ping, i % 2 == 1);
        let capacity = out
            .urgent
            .as_ref()
            .map_or(0, |urgent| urgent.frames.capacity());
        assert!(capacity < 1000, "{capacity}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Data(usize),
    Ping,
    Pong,
    Take(usize),
    Slices(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..6_usize).prop_map(Act::Data),
        Just(Act::Ping),
        Just(Act::Pong),
        (0..9_usize).prop_map(Act::Take),
        (0..9_usize).prop_map(Act::Slices),
    ]
}

proptest! {
    /// What is taken is what was lent, byte by byte; frames are never mixed; all come out in the end.
    #[test]
    fn any_takes_give_whole_frames(acts in proptest::collection::vec(act(), 0..60)) {
        let (mut out, mut taken) = (Out::default(), Vec::new());
        let (mut queued, mut pings, mut pings_taken) = (0, 0, 0);
        // A frame is its size and then its kind, so often.
        let frame = |kind: u8, size: usize| { let mut frame = vec![kind; size + 1]; frame[0] = size as u8; frame };
        for act in acts {
            match act {
                Act::Data(size) => {
                    let frame = frame(b'd', size);
                    queued += frame.len();
                    out.push(Frame { front: frame[..1].to_vec().into(), rest: Some(frame[1..].to_vec().into()) });
                }
                Act::Ping if out.urgent.as_ref().is_none_or(|urgent| urgent.ping.is_none()) => {
                    out.push_ping(&frame(b'p', 2));
                    (queued, pings) = (queued + 3, pings + 1);
                }
                Act::Ping => {}
                Act::Pong => {
                    out.push_pong(&frame(b'q', 3));
                    queued += 4;
                }
                Act::Take(count) => {
                    let bytes = sent(&out);
                    let count = count.min(bytes.len());
                    taken.extend_from_slice(&bytes[..count]);
                    pings_taken += u32::from(out.take(count).ping);
                    prop_assert_eq!(&sent(&out)[..], &bytes[count..]);
                }
                Act::Slices(count) => {
                    let all = sent(&out);
                    let mut slices = vec![IoSlice::new(&[]); count];
                    let filled = out.fill(&mut slices);
                    let some: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
                    prop_assert!(all.starts_with(&some));
                    prop_assert!(filled == count || some == all);
                }
            }
            prop_assert_eq!(out.len(), sent(&out).len());
        }
        let rest = sent(&out);
        taken.extend_from_slice(&rest);
        pings_taken += u32::from(out.take(rest.len()).ping);
        prop_assert_eq!(out.len(), 0);
        prop_assert_eq!((taken.len(), pings_taken), (queued, pings));
        let mut frames = &taken[..];
        while let [size, rest @ ..] = frames {
            let (kind, rest) = rest.split_at(usize::from(*size));
            prop_assert!(kind.iter().all(|byte| *byte == kind[0]), "mixed: {:?}", taken);
            frames = rest;
        }
    }
}
