//! The machine alone: it echoes what it is given in pieces.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use tideway_engine::ws::{Codecs, Config, Conn, Deflate, Encoded, Event, Role};
use tideway_engine::{Mono, Seed};

use crate::case::{Case, Ends, Frame, bytes, read};

pub(crate) struct Echo {
    pub(crate) conn: Conn,
    pub(crate) codecs: Codecs,
    pub(crate) sent: Vec<u8>,
    /// The messages, text and data alike.
    pub(crate) heard: Vec<Vec<u8>>,
}

impl Echo {
    pub(crate) fn new(role: Role, deflate: Option<Deflate>) -> Self {
        let config = Config {
            max_frame: 4 << 20,
            max_message: 4 << 20,
            max_queue: usize::MAX,
            ping_every: Duration::MAX,
            ..Config::default()
        };
        let seed = Seed::from_u64(1);
        Self {
            conn: Conn::new(role, Arc::new(config), deflate, &seed, Mono::START),
            codecs: Codecs::default(),
            sent: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Hears `bytes`, and says what it heard if it is to `answer`.
    pub(crate) fn hear(&mut self, bytes: &[u8], answer: bool) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = self
            .conn
            .handle_rx(Mono::START, &mut input, &mut self.codecs)
        {
            let (heard, message) = match event {
                Event::Text(text) => (text.as_bytes().to_vec(), Encoded::text(&text)),
                Event::Binary(data) => (data.to_vec(), Encoded::binary(&data)),
                Event::Ping(_) | Event::Pong(_) => continue,
            };
            self.heard.push(heard);
            if answer {
                let sent = self.conn.send(message, &mut self.codecs);
                sent.expect("an answer to what came before a Close");
            }
        }
        self.flush();
    }

    pub(crate) fn flush(&mut self) {
        while self.conn.queued() > 0 {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = self.conn.poll_transmit(&mut slices);
            let before = self.sent.len();
            slices[..count]
                .iter()
                .for_each(|slice| self.sent.extend_from_slice(slice));
            self.conn.handle_tx(Mono::START, self.sent.len() - before);
        }
    }
}

/// What comes of a case: the answers, and how it ended.
pub(crate) fn outcome(sent: &[u8]) -> (Vec<Frame>, Ends) {
    let (mut frames, size) = read(sent);
    assert_eq!(size, sent.len(), "half a frame");
    let close = frames.pop_if(|(first, _)| *first == 0x88);
    let ends = match close.as_ref().map(|(_, payload)| payload.first_chunk()) {
        None => Ends::Not,
        Some(None) => Ends::Empty,
        Some(Some(code)) => Ends::With(u16::from_be_bytes(*code)),
    };
    (frames, ends)
}

#[track_caller]
pub(crate) fn run(case: &Case, role: Role, piece: usize) {
    let mut echo = Echo::new(role, None);
    for piece in bytes(&case.sends, role == Role::Server).chunks(piece) {
        echo.hear(piece, true);
    }
    let (answers, ends) = outcome(&echo.sent);
    let number = &case.number;
    assert_eq!(ends, case.ends, "{number}, {role:?}, pieces of {piece}");
    assert!(
        answers == case.answers,
        "{number}, {role:?}, pieces of {piece}"
    );
}
