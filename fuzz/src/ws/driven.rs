//! A connection with a driver around it that writes down all it says.

use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::Arc;

use tideway_engine::ws::{Codecs, Config, Conn, Deflate, Encoded, End, Event, Role};
use tideway_engine::{Mono, Seed};

/// What a connection said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    End(End),
}

thread_local! {
    /// Codecs belong to the thread, as a driver's do: they must not remember one connection in another.
    static CODECS: RefCell<Vec<Codecs>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Driven {
    pub(super) conn: Conn,
    pub(super) codecs: Codecs,
    pub(super) now: Mono,
    pub(super) said: Vec<Said>,
    pub(super) sent: Vec<u8>,
    /// Every message is sent back.
    pub(super) echoes: bool,
}

impl Driven {
    pub(super) fn new(role: Role, config: Config, deflate: Option<Deflate>) -> Self {
        let seed = Seed::from_u64(7);
        Self {
            conn: Conn::new(role, Arc::new(config), deflate, &seed, Mono::START),
            codecs: CODECS.with_borrow_mut(Vec::pop).unwrap_or_default(),
            now: Mono::START,
            said: Vec::new(),
            sent: Vec::new(),
            echoes: false,
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let mut buffer = bytes.to_vec();
        let mut input = &mut buffer[..];
        while let Some(event) = self.conn.handle_rx(self.now, &mut input, &mut self.codecs) {
            let (said, answer) = match event {
                Event::Text(text) => (Said::Text(text.to_string()), Some(Encoded::text(&text))),
                Event::Binary(data) => (Said::Binary(data.to_vec()), Some(Encoded::binary(&data))),
                Event::Ping(data) => (Said::Ping(data.to_vec()), None),
                Event::Pong(data) => (Said::Pong(data.to_vec()), None),
            };
            self.said.push(said);
            if let Some(answer) = answer.filter(|_| self.echoes) {
                let sent = self.conn.send(answer, &mut self.codecs);
                assert_eq!(sent, Ok(()), "what came before a Close may be answered");
            }
        }
        assert!(input.is_empty(), "every byte is taken");
        self.look();
    }

    pub(super) fn look(&mut self) {
        let ends = std::iter::from_fn(|| self.conn.poll_event());
        self.said.extend(ends.map(Said::End));
    }

    pub(super) fn flush(&mut self) {
        while self.write(usize::MAX) > 0 {}
    }

    /// Up to `most` bytes are sent, of at most four pieces; how many.
    pub(super) fn write(&mut self, most: usize) -> usize {
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

    pub(super) fn eof(&mut self) {
        self.conn.handle_eof(self.now);
        self.look();
    }

    /// The end is said once, and nothing after it.
    pub(super) fn check_end(&self) {
        let end = self
            .said
            .iter()
            .position(|said| matches!(said, Said::End(_)));
        assert!(
            end.is_none_or(|at| at + 1 == self.said.len()),
            "something after the end: {:?}",
            self.said
        );
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        let codecs = std::mem::take(&mut self.codecs);
        CODECS.with_borrow_mut(|all| all.push(codecs));
    }
}
