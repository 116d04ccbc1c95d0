//! What the tests share: frames by hand, and a connection with a driver around it that writes down all it
//! says.

mod autobahn;
mod closing;
mod compressed;
mod conversation;
mod laws;
mod life;
mod memory;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use super::{Codecs, Config, Conn, Deflate, End, Event, Role};
use crate::rng::Seed;
use crate::time::Mono;

/// What a connection said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    End(End),
}

fn text(text: &str) -> Said {
    Said::Text(text.into())
}

fn binary(data: &[u8]) -> Said {
    Said::Binary(data.into())
}

/// A frame by hand: `first` is FIN, RSV and opcode.
fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let masked = u8::from(key.is_some()) << 7;
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..126 => bytes.push(masked | len as u8),
        len @ ..0x1_0000 => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(masked | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(0..).map(|(byte, i)| byte ^ key[i % 4]));
    bytes
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// As a client sends it.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some(KEY))
}

/// As a server sends it.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, None)
}

/// A connection, its clock and everything it said.
struct Driven {
    conn: Conn,
    codecs: Codecs,
    now: Mono,
    said: Vec<Said>,
    sent: Vec<u8>,
}

impl Driven {
    fn new(role: Role, config: Config, deflate: Option<Deflate>) -> Self {
        let seed = Seed::from_u64(7);
        Self {
            conn: Conn::new(role, Arc::new(config), deflate, &seed, Mono::START),
            codecs: Codecs::default(),
            now: Mono::START,
            said: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Without a heartbeat: for what has nothing to do with time.
    fn still(role: Role) -> Self {
        Self::new(role, still(), None)
    }

    /// Bytes come; nothing is sent.
    fn receive(&mut self, bytes: &[u8]) {
        let mut buffer = bytes.to_vec();
        let mut input = &mut buffer[..];
        while let Some(event) = self.conn.handle_rx(self.now, &mut input, &mut self.codecs) {
            self.said.push(match event {
                Event::Text(text) => Said::Text(text.into_owned()),
                Event::Binary(data) => Said::Binary(data.to_vec()),
                Event::Ping(data) => Said::Ping(data.to_vec()),
                Event::Pong(data) => Said::Pong(data.to_vec()),
            });
        }
        assert!(input.is_empty(), "every byte is taken");
        self.look();
    }

    fn look(&mut self) {
        let ends = std::iter::from_fn(|| self.conn.poll_event());
        self.said.extend(ends.map(Said::End));
    }

    /// All that waits is sent.
    fn flush(&mut self) {
        while self.write(usize::MAX) > 0 {}
    }

    /// Up to `most` bytes are sent, of at most four pieces.
    fn write(&mut self, most: usize) -> usize {
        let mut slices = [IoSlice::new(&[]); 4];
        let count = self.conn.poll_transmit(&mut slices);
        let mut taken = 0;
        for slice in &slices[..count] {
            let some = slice.len().min(most - taken);
            self.sent.extend_from_slice(&slice[..some]);
            taken += some;
        }
        self.conn.handle_tx(self.now, taken);
        self.look();
        taken
    }

    fn eof(&mut self) {
        self.conn.handle_eof(self.now);
        self.look();
    }

    /// Time passes, with every deadline at its instant, whatever is queued sent at once.
    fn pass(&mut self, time: Duration) {
        self.wait(time, true);
    }

    /// The same with nothing sent.
    fn stall(&mut self, time: Duration) {
        self.wait(time, false);
    }

    fn wait(&mut self, time: Duration, flush: bool) {
        let until = self.now.plus(time);
        while let Some((at, name)) = self.conn.poll_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            self.conn.handle_timeout(self.now);
            let next = self.conn.poll_timeout();
            assert!(
                next.is_none_or(|(next, _)| next > self.now),
                "{name} is due again at once: {next:?}"
            );
            self.look();
            if flush {
                self.flush();
            }
        }
        self.now = until;
    }

    fn ends(&self) -> Vec<&End> {
        let ends = self.said.iter().filter_map(|said| match said {
            Said::End(end) => Some(end),
            _ => None,
        });
        ends.collect()
    }
}

fn still() -> Config {
    Config {
        ping_every: Duration::MAX,
        ..Config::default()
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The frames of what was sent, each as FIN, RSV and opcode with the payload as it is meant.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            127 => {
                let len = u64::from_be_bytes(rest[..8].try_into().unwrap());
                (len as usize, &rest[8..])
            }
            short => (usize::from(short), rest),
        };
        let (key, rest) = if second & 0x80 == 0 {
            ([0; 4], rest)
        } else {
            (rest[..4].try_into().unwrap(), &rest[4..])
        };
        let payload = &rest[..len];
        let payload = payload.iter().zip(0..).map(|(byte, i)| byte ^ key[i % 4]);
        frames.push((*first, payload.collect()));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:?}");
    frames
}

#[test]
fn the_table_is_the_one_in_the_docs() {
    let table = crate::table::render(Conn::transitions());
    assert_eq!(table, include_str!("phase.md"), "\n{table}");
}
