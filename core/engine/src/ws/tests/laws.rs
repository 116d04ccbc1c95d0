//! The laws of all machines, over random streams of valid and broken frames and random commands: chop,
//! progress, exact deadlines, end once, bounded, determinism.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::ws::{CloseCode, Encoded, Violation};

const AGREED: Deflate = Deflate {
    server_takeover: false,
    client_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 12,
};

/// Small caps, so that random messages meet them; each byte earns a message a millisecond.
fn small() -> Config {
    Config {
        max_frame: 600,
        max_message: 1000,
        max_queue: 2000,
        ping_every: secs(30),
        pong_within: secs(20),
        message_within: secs(10),
        message_rate: 1000,
        close_within: secs(5),
    }
}

/// A frame, its payload before compression and masking.
#[derive(Clone, Debug)]
struct Piece {
    first: u8,
    payload: Vec<u8>,
    /// Compressed, if the first byte says so.
    deflate: bool,
    /// Not as the role wants it.
    wrong_mask: bool,
    /// Its length takes eight bytes, whatever it is.
    long: bool,
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => ".{0,20}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..140),
        1 => vec(select(vec![b'a', b'b', 0xc3, 0xa9]), 0..400),
        1 => (0..1200_usize).prop_map(|len| vec![b'z'; len]),
    ]
}

/// Mostly frames that fit their place; some that break a rule.
fn piece() -> impl Strategy<Value = Piece> {
    let first = prop_oneof![
        8 => select(vec![0x81, 0x82, 0x01, 0x02, 0xc1, 0xc2, 0x41, 0x42]),
        8 => select(vec![0x00, 0x80]),
        4 => select(vec![0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let close = (any::<u16>(), ".{0,10}");
    (
        first,
        payload(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.01),
        close,
    )
        .prop_map(
            |(first, mut payload, deflate, wrong_mask, (code, reason))| {
                if first & 0xf == 8 && code % 4 != 0 {
                    payload = (1000 + code % 16).to_be_bytes().to_vec();
                    payload.extend(reason.bytes());
                }
                if first & 8 != 0 && code % 16 != 0 {
                    payload.truncate(125);
                }
                Piece {
                    first,
                    payload,
                    deflate,
                    wrong_mask,
                    long: code % 64 == 1,
                }
            },
        )
}

/// The bytes of `pieces`, where a continuation stands only inside a message, unless it is to be wrong.
fn stream(role: Role, pieces: &[Piece], orderly: bool) -> Vec<u8> {
    let mut codecs = Codecs::default();
    let (mut bytes, mut within) = (Vec::new(), false);
    for piece in pieces {
        let mut first = piece.first;
        if orderly && first & 8 == 0 {
            // Data frames take their place.
            first = match (within, first & 0xf) {
                (true, _) => first & 0x80,
                (false, 0) => first & 0x80 | 1,
                (false, _) => first,
            };
            within = first & 0x80 == 0;
        }
        let deflated = piece.deflate && first & 0x40 != 0;
        let payload = match codecs.deflate(12, &piece.payload) {
            Some(small) if deflated => small.to_vec(),
            _ => piece.payload.clone(),
        };
        let mask = (role == Role::Server) != piece.wrong_mask;
        let mut frame = frame(first, &payload, mask.then_some(KEY));
        if piece.long && payload.len() < 126 {
            let len = (payload.len() as u64).to_be_bytes();
            frame.splice(1..2, std::iter::once(frame[1] & 0x80 | 127).chain(len));
        }
        bytes.extend(frame);
    }
    bytes
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Server, Role::Client])
}

/// A stream for a role: frames, or frames with bytes flipped and cut off, or noise.
fn streams() -> impl Strategy<Value = (Role, Vec<u8>)> {
    let flips =
        prop_oneof![3 => vec(any::<(Index, u8)>(), 0..1), 1 => vec(any::<(Index, u8)>(), 1..4)];
    let frames = (
        vec(piece(), 1..12),
        prop::bool::weighted(0.8),
        flips,
        any::<Option<Index>>(),
    );
    let frames = (role(), frames).prop_map(|(role, (pieces, orderly, flips, cut))| {
        let mut bytes = stream(role, &pieces, orderly);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        (role, bytes)
    });
    prop_oneof![9 => frames, 1 => (role(), vec(any::<u8>(), 0..200))]
}

/// All that is said and sent when `bytes` come in pieces of these sizes, over and over.
fn pieces(role: Role, deflate: bool, bytes: &[u8], sizes: &[usize]) -> (Vec<Said>, Vec<u8>) {
    let mut driven = Driven::new(role, small(), deflate.then_some(AGREED));
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(usize::MAX, |size| (*size).max(1));
        let (piece, after) = rest.split_at(size.min(rest.len()));
        driven.receive(piece);
        driven.flush();
        rest = after;
    }
    driven.eof();
    driven.flush();
    (driven.said, driven.sent)
}

/// Times what `PROPTEST_CASES` asks for, 256 by default.
fn cases(times: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig::with_cases(asked.cases.saturating_mul(times))
}

proptest! {
    #![proptest_config(cases(8))]

    /// Law 1, chop above all.
    #[test]
    fn any_split_says_and_sends_the_same(
        (role, bytes) in streams(), deflate: bool, cuts in vec(1..60_usize, 1..8),
    ) {
        let whole = pieces(role, deflate, &bytes, &[usize::MAX]);
        prop_assert_eq!(&pieces(role, deflate, &bytes, &[1]), &whole, "byte by byte");
        prop_assert_eq!(&pieces(role, deflate, &bytes, &cuts), &whole, "cut at {:?}", cuts);
    }
}

#[test]
fn the_streams_reach_every_violation_and_every_event() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut violations, mut kinds) = (Vec::new(), [0; 5]);
    for _ in 0..4000 {
        let (role, bytes) = streams().new_tree(&mut runner).unwrap().current();
        let (said, _) = pieces(role, true, &bytes, &[usize::MAX]);
        for said in said {
            let kind = match said {
                Said::Text(_) => 0,
                Said::Binary(_) => 1,
                Said::Ping(_) => 2,
                Said::Pong(_) => 3,
                Said::End(End::Violation(violation)) => {
                    if !violations.contains(&violation) {
                        violations.push(violation);
                    }
                    continue;
                }
                Said::End(_) => 4,
            };
            kinds[kind] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 200), "{kinds:?}");
    use Violation as V;
    for violation in [
        V::Reserved,
        V::Opcode,
        V::Unmasked,
        V::Masked,
        V::ControlLength,
        V::ControlFragment,
        V::Length,
        V::NothingToContinue,
        V::Unfinished,
        V::Close,
        V::Utf8,
        V::Inflate,
        V::TooBig,
    ] {
        assert!(violations.contains(&violation), "never {violation}");
    }
}

/// Anything that happens to a connection.
#[derive(Clone, Debug)]
enum Act {
    Receive(Vec<u8>),
    Send(usize),
    Ping,
    Close,
    Write(usize),
    Pause,
    Resume,
    Eof,
    Pass(u64),
}

fn acts() -> impl Strategy<Value = (Role, Vec<Act>)> {
    let act = |role| {
        let frames = vec(piece(), 1..4)
            .prop_map(move |pieces| stream(role, &pieces, true))
            .boxed();
        let part = (frames.clone(), any::<Index>()).prop_map(|(mut bytes, cut)| {
            bytes.truncate(cut.index(bytes.len()));
            bytes
        });
        prop_oneof![
            6 => frames.prop_map(Act::Receive),
            3 => part.prop_map(Act::Receive),
            6 => (0..900_usize).prop_map(Act::Send),
            1 => Just(Act::Ping),
            1 => Just(Act::Close),
            6 => (0..2000_usize).prop_map(Act::Write),
            1 => Just(Act::Pause),
            1 => Just(Act::Resume),
            1 => Just(Act::Eof),
            6 => (0..25_000_u64).prop_map(Act::Pass),
        ]
    };
    role().prop_flat_map(move |role| (Just(role), vec(act(role), 0..25)))
}

/// How time passes: by exact deadlines, or by looking in at every tick.
#[derive(Clone, Copy)]
enum Clock {
    Exact,
    Ticks,
}

type Trace = Vec<(Mono, Vec<Said>, usize, bool)>;

/// What is said after each act, when, and what waits; the bytes.
fn act(role: Role, acts: &[Act], deflate: bool, clock: Clock) -> (Trace, Vec<u8>) {
    let mut driven = Driven::new(role, small(), deflate.then_some(AGREED));
    let mut trace = Trace::new();
    for act in acts {
        match act {
            Act::Receive(bytes) => driven.receive(bytes),
            Act::Send(len) => {
                let message = Encoded::binary(&vec![7; *len]);
                let room = driven.conn.has_room(message.len());
                let sent = driven.conn.send(message, &mut driven.codecs);
                assert!(room || sent.is_err());
            }
            Act::Ping => {
                let _ = driven.conn.ping(b"random");
            }
            Act::Close => {
                let _ = driven.conn.close(driven.now, CloseCode::AWAY, "random");
                driven.look();
            }
            Act::Write(most) => {
                driven.write(*most);
            }
            Act::Pause => driven.conn.pause(driven.now),
            Act::Resume => driven.conn.resume(driven.now),
            Act::Eof => driven.eof(),
            Act::Pass(millis) => match clock {
                Clock::Exact => driven.stall(Duration::from_millis(*millis)),
                Clock::Ticks => {
                    for _ in 0..*millis {
                        driven.now = driven.now.plus(Duration::from_millis(1));
                        driven.conn.handle_timeout(driven.now);
                        driven.look();
                    }
                }
            },
        }
        // Law 5: the queue and one message more, control frames, and what came in part.
        let queued = driven.conn.queued();
        assert!(queued <= 2000 + 17_000 + 300, "{queued} bytes queued");
        let held = driven.conn.held();
        assert!(held <= 2 * 1000 + 125, "{held} bytes held");
        // Law 4.
        if driven.conn.is_done() {
            assert_eq!(driven.conn.poll_timeout(), None, "a deadline after the end");
            assert_eq!(queued + held, 0, "memory after the end");
            assert_eq!(driven.ends().len(), 1, "done without an end");
        }
        trace.push((
            driven.now,
            driven.said.clone(),
            queued,
            driven.conn.is_open(),
        ));
    }
    let end = driven
        .said
        .iter()
        .position(|said| matches!(said, Said::End(_)));
    assert!(
        end.is_none_or(|at| at + 1 == driven.said.len()),
        "law 4: something after the end: {:?}",
        driven.said
    );
    (trace, driven.sent)
}

proptest! {
    #![proptest_config(cases(4))]

    /// Laws 2 (in [`Driven::wait`]), 4 and 5 (in [`act`]), and 6.
    #[test]
    fn whatever_happens_the_laws_hold((role, acts) in acts(), deflate: bool) {
        let once = act(role, &acts, deflate, Clock::Exact);
        prop_assert_eq!(act(role, &acts, deflate, Clock::Exact), once, "law 6");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Law 3.
    #[test]
    fn nothing_waits_unreported((role, acts) in acts(), deflate: bool) {
        let exact = act(role, &acts, deflate, Clock::Exact);
        prop_assert_eq!(act(role, &acts, deflate, Clock::Ticks), exact);
    }
}
