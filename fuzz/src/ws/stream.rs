//! Chop above all: however a stream is cut, a connection says and sends the same; and what it sends, its peer
//! understands.

use std::time::Duration;

use tideway_engine::ws::{Config, Encoded, End, Role};

use super::driven::{Driven, Said};
use super::{Given, given, small};

/// Any bytes.
pub fn bytes(data: &[u8]) {
    if let Some((given, stream)) = given(data) {
        check(&given, stream);
    }
}

/// Each frame is a first byte, flags, a length, and what of its payload is left: its head, its mask and its
/// compression are put right, unless the flags say otherwise.
pub fn frames(data: &[u8]) {
    let Some((given, mut rest)) = given(data) else {
        return;
    };
    let mut stream = Vec::new();
    let mut sender = Driven::new(other(given.role), large(), given.deflate);
    while let Some((&[first, flags, len], after)) = rest.split_first_chunk() {
        // Lengths beyond a byte: repeated payloads, which compress.
        let (len, times) = (
            usize::from(len).min(after.len()),
            1 + usize::from(flags >> 4),
        );
        let (payload, after) = after.split_at(len);
        rest = after;
        let mut payload = payload.repeat(times);
        if first & 0x40 != 0 && flags & 1 == 0 {
            payload = compressed(&mut sender, payload);
        }
        let mask = (given.role == Role::Server) != (flags & 6 == 6);
        push_frame(&mut stream, first, &payload, mask, flags & 8 != 0);
    }
    check(&given, &stream);
}

/// What `sender` makes of a message, without its head; the message itself if that is no smaller.
fn compressed(sender: &mut Driven, payload: Vec<u8>) -> Vec<u8> {
    sender.sent.clear();
    let message = Encoded::binary(&payload);
    sender
        .conn
        .send(message, &mut sender.codecs)
        .expect("no end of room");
    sender.flush();
    match read_frames(&sender.sent).pop() {
        Some((first, compressed)) if first & 0x40 != 0 => compressed,
        _ => payload,
    }
}

fn push_frame(into: &mut Vec<u8>, first: u8, payload: &[u8], mask: bool, long: bool) {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    let masked = u8::from(mask) << 7;
    into.push(first);
    match payload.len() {
        len @ ..126 if !long => into.push(masked | len as u8),
        len @ ..0x1_0000 if !long => {
            into.push(masked | 126);
            into.extend((len as u16).to_be_bytes());
        }
        len => {
            into.push(masked | 127);
            into.extend((len as u64).to_be_bytes());
        }
    }
    let key = if mask { KEY } else { [0; 4] };
    into.extend(key.iter().filter(|_| mask));
    into.extend(payload.iter().zip(0..).map(|(byte, i)| byte ^ key[i % 4]));
}

/// Whole frames as (first byte, payload unmasked).
fn read_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            127 => (
                u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize,
                &rest[8..],
            ),
            short => (usize::from(short), rest),
        };
        let (key, rest) = if second & 0x80 == 0 {
            ([0; 4], rest)
        } else {
            (rest[..4].try_into().unwrap(), &rest[4..])
        };
        let payload = rest[..len].iter().zip(0..);
        frames.push((
            *first,
            payload
                .map(|(byte, i): (_, usize)| byte ^ key[i % 4])
                .collect(),
        ));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:?}");
    frames
}

fn check(given: &Given, stream: &[u8]) {
    // Beyond it Pongs are left out, as many as wait at once: that depends on the cuts.
    let stream = &stream[..stream.len().min(8 << 10)];
    let whole = run(given, stream, usize::MAX);
    // Byte by byte takes its time.
    let fine = if stream.len() <= 600 { 1 } else { 31 };
    for piece in [fine, given.piece] {
        let cut = run(given, stream, piece);
        assert_eq!(cut.said, whole.said, "in pieces of {piece}");
        let (cut, whole) = (read_frames(&cut.sent), read_frames(&whole.sent));
        // A Pong goes ahead of what waits, and more waits if more came at once.
        let control = |frames: &[(u8, Vec<u8>)], is: bool| -> Vec<_> {
            let frames = frames.iter().filter(|(first, _)| (first & 8 != 0) == is);
            frames.cloned().collect()
        };
        for is in [true, false] {
            assert_eq!(
                control(&cut, is),
                control(&whole, is),
                "in pieces of {piece}"
            );
        }
    }
    understood(given, &whole);
}

fn run(given: &Given, stream: &[u8], piece: usize) -> Driven {
    let config = Config {
        max_queue: usize::MAX,
        max_frame: 3000,
        max_message: 4000,
        ping_every: Duration::MAX,
        ..small()
    };
    let mut driven = Driven::new(given.role, config, given.deflate);
    driven.echoes = true;
    for piece in stream.chunks(piece) {
        driven.receive(piece);
        assert!(
            driven.conn.held() <= 2 * 4000 + 125,
            "{} bytes held",
            driven.conn.held()
        );
        driven.flush();
    }
    driven.eof();
    driven.flush();
    driven.check_end();
    driven
}

/// The peer reads what was sent: the echoes, the Pongs, and one Close, if there was one.
fn understood(given: &Given, whole: &Driven) {
    let mut peer = Driven::new(other(given.role), large(), given.deflate);
    peer.receive(&whole.sent);
    let is_message = |said: &&Said| matches!(said, Said::Text(_) | Said::Binary(_));
    let (heard, said) = (
        peer.said.iter().filter(is_message),
        whole.said.iter().filter(is_message),
    );
    assert!(heard.eq(said), "{:?}", peer.said);
    let pings = whole
        .said
        .iter()
        .filter(|said| matches!(said, Said::Ping(_)))
        .count();
    let pongs = peer
        .said
        .iter()
        .filter(|said| matches!(said, Said::Pong(_)))
        .count();
    assert!(pongs <= pings);
    match (whole.said.last(), peer.said.last()) {
        (Some(Said::End(End::Violation(violation))), Some(Said::End(End::Peer(frame)))) => {
            assert_eq!(frame.code, Some(violation.code()));
        }
        (Some(Said::End(End::Peer(said))), Some(Said::End(End::Peer(frame)))) => {
            assert_eq!(frame.code, said.code);
        }
        (Some(Said::End(End::Lost)), last) => assert!(!matches!(last, Some(Said::End(_)))),
        ends => panic!("{ends:?}"),
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// One that takes all.
fn large() -> Config {
    Config {
        max_frame: 1 << 20,
        max_message: 1 << 20,
        max_queue: usize::MAX,
        ping_every: Duration::MAX,
        ..Config::default()
    }
}
