//! The engine's WebSocket machine against tungstenite, as server and as client, without compression, which
//! tungstenite has not: random streams, cut anywhere, must give the same messages and the same end.
//!
//! `TIDEWAY_WS_CASES` sets the number of streams of each test. Differences that are explained, and only these:
//!
//! 1. *Early*: the machine refuses a frame at the byte that shows the fault. tungstenite waits for the whole frame,
//!    so where the stream ends before, it sees a lost stream.
//! 2. *Length*: a length that is not in the fewest bytes (RFC 6455 §5.2: "MUST be used") is refused by the machine, for a
//!    control frame as too long, and taken by tungstenite.
//! 3. *Code*: for a close code that must not be sent the machine fails the connection with 1002; tungstenite reports a Close
//!    with 1002. 1014, which IANA registered, is among them for tungstenite.
//! 4. *Order*: where a frame breaks several rules each names another one. Only streams with flipped bytes have such frames.
//!
//! After the first fault and after the first Close nothing is compared: tungstenite leaves the Close for a fault to its user.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use tideway_engine::ws::{CloseCode, Codecs, Config, Conn, Encoded, End, Event, Role, Violation};
use tideway_engine::{Mono, Rng, Seed};
use tungstenite::protocol::{self, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

const MAX_FRAME: usize = 600;
const MAX_MESSAGE: usize = 1000;

/// What a connection said, as both can say it.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
enum Ended {
    Close(Option<(u16, String)>),
    Protocol,
    Utf8,
    TooBig,
    Lost,
}

type Outcome = (Vec<Said>, Ended);

fn config() -> Config {
    Config {
        max_frame: MAX_FRAME,
        max_message: MAX_MESSAGE,
        ping_every: Duration::MAX,
        ..Config::default()
    }
}

fn conn(role: Role) -> Conn {
    let seed = Seed::from_u64(1);
    Conn::new(role, Arc::new(config()), None, &seed, Mono::START)
}

/// The machine's outcome, and what broke, if something did.
fn ours(role: Role, pieces: &[Vec<u8>]) -> (Outcome, Option<Violation>) {
    let (mut conn, mut codecs) = (conn(role), Codecs::default());
    let (mut said, mut violation) = (Vec::new(), None);
    for piece in pieces {
        let mut bytes = piece.clone();
        let mut input = &mut bytes[..];
        while let Some(event) = conn.handle_rx(Mono::START, &mut input, &mut codecs) {
            said.push(match event {
                Event::Text(text) => Said::Text(text.into_owned()),
                Event::Binary(data) => Said::Binary(data.to_vec()),
                Event::Ping(data) => Said::Ping(data.to_vec()),
                Event::Pong(data) => Said::Pong(data.to_vec()),
            });
        }
    }
    conn.handle_eof(Mono::START);
    let ended = match conn.poll_event() {
        Some(End::Peer(frame)) => {
            let reason = String::from(frame.reason);
            Ended::Close(frame.code.map(|code| (code.as_u16(), reason)))
        }
        Some(End::Violation(broken)) => {
            violation = Some(broken);
            match broken {
                Violation::Utf8 => Ended::Utf8,
                Violation::TooBig => Ended::TooBig,
                _ => Ended::Protocol,
            }
        }
        Some(End::Lost) => Ended::Lost,
        other => panic!("{other:?}"),
    };
    ((said, ended), violation)
}

/// A stream that gives its pieces one by one and keeps what is written.
#[derive(Default)]
struct Pipe {
    pieces: Vec<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.first_mut() else {
            return Ok(0);
        };
        let some = piece.len().min(into.len());
        into[..some].copy_from_slice(&piece[..some]);
        piece.drain(..some);
        if piece.is_empty() {
            self.pieces.remove(0);
        }
        Ok(some)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn peer(role: Role, pieces: Vec<Vec<u8>>) -> WebSocket<Pipe> {
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let pipe = Pipe {
        pieces,
        written: Vec::new(),
    };
    WebSocket::from_raw_socket(pipe, role, Some(config))
}

fn theirs(role: Role, pieces: &[Vec<u8>]) -> Outcome {
    let mut peer = peer(role, pieces.to_vec());
    let mut said = Vec::new();
    let ended = loop {
        match peer.read() {
            Ok(Message::Text(text)) => said.push(Said::Text(text.to_string())),
            Ok(Message::Binary(data)) => said.push(Said::Binary(data.to_vec())),
            Ok(Message::Ping(data)) => said.push(Said::Ping(data.to_vec())),
            Ok(Message::Pong(data)) => said.push(Said::Pong(data.to_vec())),
            Ok(Message::Close(frame)) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                break Ended::Close(frame);
            }
            Ok(other) => panic!("{other:?}"),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => {
                break Ended::Lost;
            }
            Err(Error::Protocol(_)) => break Ended::Protocol,
            Err(Error::Utf8(_)) => break Ended::Utf8,
            Err(Error::Capacity(_)) => break Ended::TooBig,
            Err(error) => panic!("{error:?}"),
        }
    };
    (said, ended)
}

fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>, long: bool) -> Vec<u8> {
    let masked = u8::from(key.is_some()) << 7;
    let mut bytes = vec![first];
    if long {
        bytes.push(masked | 127);
        bytes.extend((payload.len() as u64).to_be_bytes());
    } else if payload.len() < 126 {
        bytes.push(masked | payload.len() as u8);
    } else {
        bytes.push(masked | 126);
        bytes.extend((payload.len() as u16).to_be_bytes());
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(0..).map(|(byte, i)| byte ^ key[i % 4]));
    bytes
}

fn text(rng: &mut Rng) -> Vec<u8> {
    let len = [5, 40, 200][rng.below(3) as usize];
    let characters = ['a', 'z', 'é', 'ß', '€', '한', '🦀', '\u{10ffff}', '\0'];
    let text = (0..rng.below(len)).map(|_| characters[rng.below(9) as usize]);
    text.collect::<String>().into_bytes()
}

fn data(rng: &mut Rng, longest: u64) -> Vec<u8> {
    let mut data = vec![0; rng.below(longest + 1) as usize];
    rng.fill(&mut data);
    data
}

/// Frames of a whole conversation, with at most one fault.
fn orderly(rng: &mut Rng, role: Role) -> Vec<u8> {
    let (mut stream, mut within) = (Vec::new(), None);
    let count = 1 + rng.below(12);
    let fault = rng
        .chance(500_000)
        .then(|| (rng.below(count), rng.below(12)));
    for i in 0..count {
        let mut key = [0; 4];
        rng.fill(&mut key);
        let mut key = (role == Role::Server).then_some(key);
        let control = rng.chance(200_000);
        let fin = rng.chance(600_000);
        let mut long = false;
        let (mut first, mut payload) = if control {
            let opcode = if rng.chance(800_000) {
                9 + rng.below(2) as u8
            } else {
                8
            };
            let payload = if opcode == 8 {
                let code = [1000, 1001, 1011, 1012, 3000, 4999][rng.below(6) as usize];
                let mut payload = u16::to_be_bytes(code).to_vec();
                payload.extend(text(rng).into_iter().take_while(u8::is_ascii).take(100));
                payload.truncate(if rng.chance(100_000) { 0 } else { 125 });
                payload
            } else {
                data(rng, 125)
            };
            (0x80 | opcode, payload)
        } else {
            let is_text = within.unwrap_or_else(|| rng.chance(500_000));
            let opcode = match (within, is_text) {
                (Some(_), _) => 0,
                (None, true) => 1,
                (None, false) => 2,
            };
            within = (!fin).then_some(is_text);
            let payload = if is_text { text(rng) } else { data(rng, 150) };
            (u8::from(fin) << 7 | opcode, payload)
        };
        if let Some((at, kind)) = fault
            && at == i
        {
            match kind {
                0 => first |= 0x10 << rng.below(3),
                1 => {
                    first =
                        first & 0x80 | [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][rng.below(10) as usize];
                }
                2 => {
                    key = if key.is_some() {
                        None
                    } else {
                        Some([1, 2, 3, 4])
                    }
                }
                3 => (first, payload) = (0x89, data(rng, 200)),
                4 => (first, payload) = (0x09, Vec::new()),
                5 if first & 8 == 0 => first ^= 1,
                6 => first = 0x80,
                7 => (first, payload) = (0x88, data(rng, 2)),
                8 if first & 8 == 0 => payload = data(rng, MAX_MESSAGE as u64 + 300),
                9 => long = true,
                10 if !payload.is_empty() => payload.extend_from_slice(&[0xed, 0xa0, 0x80]),
                _ => {
                    payload.pop();
                }
            }
        }
        stream.extend(frame(first, &payload, key, long));
    }
    if rng.chance(100_000) {
        stream.truncate(rng.below(stream.len() as u64) as usize);
    }
    stream
}

/// Any bytes, or a conversation with a few bytes flipped.
fn wild(rng: &mut Rng, role: Role) -> Vec<u8> {
    if rng.chance(100_000) {
        return data(rng, 300);
    }
    let mut stream = orderly(rng, role);
    for _ in 0..=rng.below(3) {
        let at = rng.below(stream.len() as u64) as usize;
        if let Some(byte) = stream.get_mut(at) {
            *byte = rng.u32() as u8;
        }
    }
    stream
}

fn cut(rng: &mut Rng, mut stream: &[u8]) -> Vec<Vec<u8>> {
    let longest = [1, 7, 100, 100_000][rng.below(4) as usize];
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        let size = 1 + rng.below(longest) as usize;
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        pieces.push(piece.to_vec());
        stream = rest;
    }
    pieces
}

/// Why the two may differ: a number of the list above.
fn explained(
    (ours, violation): &(Outcome, Option<Violation>),
    theirs: &Outcome,
    flipped: bool,
) -> Option<u8> {
    let (same, longer) = (ours.0 == theirs.0, theirs.0.starts_with(&ours.0));
    let closed = |code| matches!(&theirs.1, Ended::Close(Some((said, _))) if *said == code);
    match (violation, &ours.1) {
        (Some(Violation::Length), _) if longer => Some(2),
        (Some(Violation::ControlLength), _)
            if longer && (!same || matches!(theirs.1, Ended::Close(_))) =>
        {
            Some(2)
        }
        (Some(_), _) if same && theirs.1 == Ended::Lost => Some(1),
        (Some(Violation::Close), _) if same && closed(1002) => Some(3),
        (None, Ended::Close(Some((1014, _)))) if same && closed(1002) => Some(3),
        (Some(_), _)
            if flipped
                && same
                && matches!(theirs.1, Ended::Protocol | Ended::Utf8 | Ended::TooBig) =>
        {
            Some(4)
        }
        _ => None,
    }
}

fn cases(default: u64) -> u64 {
    let asked = std::env::var("TIDEWAY_WS_CASES").ok();
    asked.map_or(default, |asked| asked.parse().expect("a number"))
}

fn compare(flipped: bool, make: fn(&mut Rng, Role) -> Vec<u8>) {
    let (mut counts, mut ends) = ([0_u64; 5], [0_u64; 5]);
    for seed in 0..cases(20_000) {
        let rng = &mut Rng::new(&Seed::from_u64(seed));
        let role = [Role::Server, Role::Client][rng.below(2) as usize];
        let stream = make(rng, role);
        let pieces = cut(rng, &stream);
        let (whole, cut) = (ours(role, &[stream]), ours(role, &pieces));
        assert_eq!(whole, cut, "chop, seed {seed}, {role:?}");
        let (ours, theirs) = (cut, theirs(role, &pieces));
        let end = match ours.0.1 {
            Ended::Close(_) => 0,
            Ended::Protocol => 1,
            Ended::Utf8 => 2,
            Ended::TooBig => 3,
            Ended::Lost => 4,
        };
        ends[end] += 1;
        if ours.0 == theirs {
            counts[0] += 1;
            continue;
        }
        let why = explained(&ours, &theirs, flipped);
        let why = why.unwrap_or_else(|| {
            panic!("seed {seed}, {role:?}\n  ours   {ours:?}\n  theirs {theirs:?}\n  {pieces:02x?}")
        });
        counts[usize::from(why)] += 1;
    }
    println!(
        "same, early, length, code, order: {counts:?}; close, protocol, utf8, big, lost: {ends:?}"
    );
    let all: u64 = counts.iter().sum();
    assert!(counts[0] * 100 > all * 80, "mostly the same: {counts:?}");
    assert!(
        ends.iter().all(|end| *end * 1000 > all),
        "all ends are met: {ends:?}"
    );
}

#[test]
fn orderly_streams_and_single_faults_are_read_as_tungstenite_reads_them() {
    compare(false, orderly);
}

#[test]
fn wild_streams_are_read_as_tungstenite_reads_them() {
    compare(true, wild);
}

/// What one says is what the other hears, in both directions.
#[test]
fn they_understand_each_other() {
    for seed in 0..cases(20_000) / 10 {
        let rng = &mut Rng::new(&Seed::from_u64(seed));
        let role = [Role::Server, Role::Client][rng.below(2) as usize];
        let other = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let (mut conn, mut codecs) = (conn(role), Codecs::default());
        let mut peer = peer(role, Vec::new());
        let mut said = Vec::new();
        for _ in 0..rng.below(10) {
            if rng.chance(500_000) {
                let text = String::from_utf8(text(rng)).expect("text");
                conn.send(Encoded::text(&text), &mut codecs).expect("room");
                peer.write(Message::text(text.clone())).expect("room");
                said.push(Said::Text(text));
            } else {
                let data = data(rng, MAX_FRAME as u64);
                conn.send(Encoded::binary(&data), &mut codecs)
                    .expect("room");
                peer.write(Message::binary(data.clone())).expect("room");
                said.push(Said::Binary(data));
            }
        }
        conn.close(Mono::START, CloseCode::AWAY, "bye")
            .expect("open");
        let code = protocol::frame::coding::CloseCode::Away;
        let reason = "bye".into();
        let _ = peer.close(Some(protocol::CloseFrame { code, reason }));
        peer.flush().expect("a pipe takes all");
        let expected = (said, Ended::Close(Some((1001, "bye".to_owned()))));

        let mut sent = Vec::new();
        while conn.queued() > 0 {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = conn.poll_transmit(&mut slices);
            let before = sent.len();
            sent.extend(slices[..count].iter().flat_map(|slice| slice.to_vec()));
            let taken = sent.len() - before;
            conn.handle_tx(Mono::START, taken);
        }
        let pieces = cut(rng, &sent);
        assert_eq!(theirs(other, &pieces), expected, "seed {seed}, {role:?}");
        let pieces = cut(rng, &peer.get_ref().written);
        assert_eq!(ours(other, &pieces).0, expected, "seed {seed}, {role:?}");
    }
}
