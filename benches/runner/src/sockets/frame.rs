//! A client's side of a socket: the handshake, its frames, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::cell::Cell;
use crate::Outcome;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const PATIENCE: Duration = Duration::from_secs(5);

/// An open socket; reads give up after five seconds.
pub(crate) fn connect(at: SocketAddr, path: &str, deflate: bool) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(at)
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream))
        .map_err(|e| format!("connecting to {at}: {e}"))?;
    let extension = if deflate {
        "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover\r\n"
    } else {
        ""
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extension}\r\n"
    );
    let mut reply = Vec::new();
    let mut bytes = [0; 1024];
    let read = stream.write_all(request.as_bytes()).and_then(|()| {
        // Nothing follows it: we have asked for nothing yet.
        while !reply.ends_with(b"\r\n\r\n") {
            match stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => reply.extend_from_slice(&bytes[..read]),
            }
        }
        Ok(())
    });
    read.map_err(|e| format!("the handshake: {e}"))?;
    let reply = String::from_utf8_lossy(&reply).to_ascii_lowercase();
    if !reply.starts_with("http/1.1 101") || !reply.contains("s3pplmbitxaq9kygzzhzrbk+xoo=") {
        return Err(format!("no handshake: {reply}"));
    }
    if reply.contains("permessage-deflate") != deflate {
        return Err(format!("compression is not as asked for: {reply}"));
    }
    Ok(stream)
}

/// What a client sends: one message, masked, compressed if the cell says so.
pub(crate) fn message(cell: &Cell) -> Vec<u8> {
    let plain = cell.payload.bytes();
    let mut first = if cell.payload.text { 0x81 } else { 0x82 };
    let body = if cell.is_deflated() {
        first |= 0x40;
        deflated(&plain)
    } else {
        plain
    };
    let mut frame = vec![first];
    match body.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    frame.extend(body.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// Sends one message on `stream`, and reads one frame, which must be that message. Returns the frame.
pub(crate) fn exchange(mut stream: &TcpStream, cell: &Cell) -> Outcome<Vec<u8>> {
    stream
        .write_all(&message(cell))
        .map_err(|e| format!("sending: {e}"))?;
    receive(stream, cell)
}

/// Reads one frame, which must be the cell's message.
pub(crate) fn receive(mut stream: &TcpStream, cell: &Cell) -> Outcome<Vec<u8>> {
    let mut frame = Vec::new();
    let mut more = |frame: &mut Vec<u8>, len: usize| {
        let from = frame.len();
        frame.resize(from + len, 0);
        stream
            .read_exact(&mut frame[from..])
            .map_err(|e| format!("the first frame: {e}"))
    };
    more(&mut frame, 2)?;
    // A heartbeat's Ping, which is empty.
    while frame == [0x89, 0] {
        frame.clear();
        more(&mut frame, 2)?;
    }
    let extra = match frame[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    more(&mut frame, extra)?;
    let len = frame[2..]
        .iter()
        .fold(0, |len, byte| len << 8 | usize::from(*byte));
    let len = if extra == 0 {
        usize::from(frame[1])
    } else {
        len
    };
    let head = frame.len();
    more(&mut frame, len)?;
    let deflated = frame[0] & 0x40 != 0;
    if deflated != cell.is_deflated() {
        return Err("the first frame is not compressed as it should be".to_owned());
    }
    let body = if deflated {
        inflated(&frame[head..], cell.payload.len)
    } else {
        frame[head..].to_vec()
    };
    let opcode = if cell.payload.text { 1 } else { 2 };
    if frame[0] & 0xf != opcode || body != cell.payload.bytes() {
        return Err("the first frame is not the message that was sent".to_owned());
    }
    Ok(frame)
}

/// RFC 7692 §7.2.1.
fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 64);
    Compress::new(Compression::default(), false)
        .compress_vec(plain, &mut out, FlushCompress::Sync)
        .expect("memory is compressed into memory");
    out.truncate(out.len() - 4);
    out
}

fn inflated(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 64);
    let whole = [bytes, &[0, 0, 0xff, 0xff]].concat();
    // What cannot be inflated is not the message, which the caller sees.
    let _ = Decompress::new(false).decompress_vec(&whole, &mut out, FlushDecompress::Sync);
    out
}
