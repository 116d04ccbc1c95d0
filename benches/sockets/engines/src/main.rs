//! Takes masked frames in and looks at each payload: `socket-engines ENGINE binary|text SIZE READS` prints how many frames
//! there were. Meant to run under callgrind, twice.

use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{FragmentCollector, OpCode, Role};
use tideway_engine::ws::{Codecs, Config, Conn, Event};
use tideway_engine::{Mono, Seed};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::WebSocketConfig;

/// Bytes of frames per read; a larger frame comes in several.
const READ: usize = 8 << 10;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [engine, kind, size, reads] = &words[..] else {
        panic!("ENGINE KIND SIZE READS");
    };
    let (size, reads) = (size.parse().expect("a size"), reads.parse().expect("a count"));
    let wire = Wire::new(kind == "text", size, reads);
    let frames = match engine.as_str() {
        "ours" => ours(wire),
        "tungstenite" => tungstenite(wire),
        "fastwebsockets" => fastwebsockets(wire),
        _ => panic!("no engine {engine}"),
    };
    println!("{frames}");
}

/// What a peer sends.
struct Wire {
    bytes: Vec<u8>,
    at: usize,
    reads: usize,
}

impl Wire {
    fn new(text: bool, size: usize, reads: usize) -> Self {
        let mut frame = vec![if text { 0x81 } else { 0x82 }];
        match size {
            0..=125 => frame.push(0x80 | size as u8),
            _ => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(size as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&KEY);
        frame.extend((0..size).map(|i| b'a' + (i % 26) as u8 ^ KEY[i % 4]));
        let bytes = frame.repeat((READ / frame.len()).max(1));
        Self {
            bytes,
            at: 0,
            reads,
        }
    }

    /// The next bytes, at most as many as are read at once; 0 at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        if self.reads == 0 {
            return 0;
        }
        let some = READ.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..some].copy_from_slice(&self.bytes[self.at..self.at + some]);
        self.at += some;
        if self.at == self.bytes.len() {
            self.at = 0;
            self.reads -= 1;
        }
        some
    }
}

fn ours(mut wire: Wire) -> u64 {
    let (now, mut codecs) = (Mono::START, Codecs::default());
    let config = Arc::new(Config::default());
    let role = tideway_engine::ws::Role::Server;
    let mut conn = Conn::new(role, config, None, &Seed::from_u64(7), now);
    let mut buffer = vec![0; 64 << 10];
    let mut frames = 0;
    loop {
        let read = wire.fill(&mut buffer);
        if read == 0 {
            return frames;
        }
        let mut input = &mut buffer[..read];
        while let Some(event) = conn.handle_rx(now, &mut input, &mut codecs) {
            frames += match &event {
                Event::Text(text) => look(text.as_bytes()),
                Event::Binary(data) => look(data),
                _ => 0,
            };
        }
    }
}

fn tungstenite(wire: Wire) -> u64 {
    let config = WebSocketConfig::default();
    let role = tungstenite::protocol::Role::Server;
    let mut socket = tungstenite::WebSocket::from_raw_socket(wire, role, Some(config));
    let mut frames = 0;
    while let Ok(message) = socket.read() {
        frames += look(&message.into_data());
    }
    frames
}

fn fastwebsockets(wire: Wire) -> u64 {
    let socket = fastwebsockets::WebSocket::after_handshake(wire, Role::Server);
    let mut socket = FragmentCollector::new(socket);
    let mut reading = pin!(async {
        let mut frames = 0;
        while let Ok(frame) = socket.read_frame().await {
            if matches!(frame.opcode, OpCode::Text | OpCode::Binary) {
                frames += look(&frame.payload);
            }
        }
        frames
    });
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(frames) = reading.as_mut().poll(&mut cx) {
            return frames;
        }
    }
}

/// The payload is here: its last byte.
fn look(payload: &[u8]) -> u64 {
    std::hint::black_box(payload.last());
    1
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.fill(buf.initialize_unfilled());
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
