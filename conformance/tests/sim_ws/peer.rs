//! A WebSocket client in the simulator: our machine in its other role, read and written by hand.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tideway::Seed;
use tideway::ws::{CloseCode, Codecs, Config, Encoded};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::Runtime;
use tideway_engine::ws::{Conn, End, Event, Role};
use tideway_sim::{Host, SimStream};

/// A client: the machine in its other role, on a simulated stream.
pub(crate) struct Peer {
    pub(crate) host: Host,
    pub(crate) stream: SimStream,
    pub(crate) conn: Conn,
    pub(crate) codecs: Codecs,
    pub(crate) got: Vec<Vec<u8>>,
    pub(crate) end: Option<End>,
}

impl Peer {
    /// Connects; `first` goes in one segment with the handshake.
    pub(crate) async fn open(
        host: &Host,
        path: &str,
        seed: &Seed,
        first: &[&[u8]],
    ) -> io::Result<Self> {
        let stream = host.connect("server", 80).await?;
        let config = Config {
            ping_every: Duration::MAX,
            max_queue: usize::MAX,
            ..Config::default()
        };
        let now = host.now().mono;
        let mut peer = Self {
            host: host.clone(),
            stream,
            conn: Conn::new(Role::Client, Arc::new(config), None, seed, now),
            codecs: Codecs::default(),
            got: Vec::new(),
            end: None,
        };
        let mut bytes = format!(
            "GET {path} HTTP/1.1\r\nhost: server\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        for message in first {
            peer.say(message);
        }
        bytes.extend(peer.outgoing());
        peer.stream.write_all(&bytes).await?;
        let mut head = Vec::new();
        loop {
            let more = peer.stream.read(64).await?;
            if more.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.extend(more);
            if let Some((reply, len)) = Reply::head(&head).expect("HTTP") {
                assert_eq!(reply.status, 101, "{}", reply.summary());
                peer.take(&mut head.split_off(len));
                return Ok(peer);
            }
        }
    }

    pub(crate) fn say(&mut self, message: &[u8]) {
        // What was said after the end is lost.
        let _ = self.conn.send(Encoded::binary(message), &mut self.codecs);
    }

    pub(crate) fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.conn.queued() > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = self.conn.poll_transmit(&mut slices);
            let some: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            self.conn.handle_tx(self.host.now().mono, some.len());
            bytes.extend(some);
        }
        bytes
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let bytes = self.outgoing();
        self.stream.write_all(&bytes).await
    }

    fn take(&mut self, mut bytes: &mut [u8]) {
        let now = self.host.now().mono;
        while let Some(event) = self.conn.handle_rx(now, &mut bytes, &mut self.codecs) {
            match event {
                Event::Text(text) => self.got.push(text.as_bytes().to_vec()),
                Event::Binary(data) => self.got.push(data.to_vec()),
                Event::Ping(_) | Event::Pong(_) => {}
            }
        }
        self.end = self.conn.poll_event().or(self.end.take());
    }

    /// Reads once and answers; false at the end.
    pub(crate) async fn read(&mut self) -> io::Result<bool> {
        let mut bytes = self.stream.read(5000).await?;
        if bytes.is_empty() {
            self.conn.handle_eof(self.host.now().mono);
            self.end = self.conn.poll_event().or(self.end.take());
            return Ok(false);
        }
        self.take(&mut bytes);
        self.flush().await?;
        Ok(true)
    }

    /// Reads to the end, and ends its own side; the close code.
    pub(crate) async fn close(&mut self) -> io::Result<u16> {
        let _ = self.conn.close(self.host.now().mono, CloseCode::NORMAL, "");
        self.flush().await?;
        while self.read().await? {}
        Ok(self.end.as_ref().map_or(1006, End::code))
    }
}
