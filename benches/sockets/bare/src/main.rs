//! Sockets with nothing around them: one thread, one epoll, one read buffer. Whole frames are unmasked and sent back
//! from where they lie. It trusts its peers: no rule is checked, and
//! nothing bounds what waits for a peer that does not read.

mod epoll;
mod frames;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use epoll::Epoll;

/// The read buffer, in bytes.
const BUFFER: usize = 256 << 10;
/// What epoll calls the listener.
const LISTENER: u64 = u64::MAX;

struct Server {
    epoll: Epoll,
    sockets: BTreeMap<u64, Socket>,
    next: u64,
    buffer: Vec<u8>,
}

struct Socket {
    stream: TcpStream,
    /// `None` before the handshake.
    kind: Option<Kind>,
    /// The beginning of a frame that has not come whole.
    rest: Vec<u8>,
    /// What the peer has not taken.
    unsent: Vec<u8>,
    /// Whether epoll tells when it takes more.
    short: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Echo,
    Room,
}

fn main() -> io::Result<()> {
    let args = bench_common::args();
    let listener = TcpListener::bind(args.listen)?;
    let epoll = Epoll::new()?;
    epoll.add(&listener, LISTENER)?;
    bench_common::announce("bare", &args);
    let mut server = Server {
        epoll,
        sockets: BTreeMap::new(),
        next: 0,
        buffer: vec![0; BUFFER],
    };
    let mut ready = Vec::new();
    loop {
        server.epoll.wait(&mut ready)?;
        for id in &ready {
            if *id == LISTENER {
                server.accept(&listener)?;
            } else if !server.serve(*id).is_ok_and(|open| open) {
                server.sockets.remove(id);
            }
        }
    }
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.epoll.add(&stream, self.next)?;
        let socket = Socket {
            stream,
            kind: None,
            rest: Vec::new(),
            unsent: Vec::new(),
            short: false,
        };
        self.sockets.insert(self.next, socket);
        self.next += 1;
        Ok(())
    }

    /// Whether the socket stays.
    fn serve(&mut self, id: u64) -> io::Result<bool> {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return Ok(true);
        };
        if !socket.unsent.is_empty() {
            let unsent = std::mem::take(&mut socket.unsent);
            socket.write(&self.epoll, id, &mut [IoSlice::new(&unsent)])?;
            if !socket.unsent.is_empty() {
                return Ok(true);
            }
        }
        let read = match socket.stream.read(&mut self.buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        let whole = std::mem::take(&mut socket.rest);
        let mut joined;
        let mut bytes = &mut self.buffer[..read];
        if !whole.is_empty() {
            joined = whole;
            joined.extend_from_slice(bytes);
            bytes = &mut joined;
        }
        let Some(kind) = socket.kind else {
            socket.shake_hands(bytes)?;
            return Ok(true);
        };
        let (replies, rest) = frames::replies(bytes);
        if kind == Kind::Echo {
            socket.rest = rest.to_vec();
            if !replies.is_empty() {
                let mut slices: Vec<_> = replies.iter().map(|reply| IoSlice::new(reply)).collect();
                socket.write(&self.epoll, id, &mut slices)?;
            }
            return Ok(true);
        }
        let rest = rest.to_vec();
        let all = replies.concat();
        socket.rest = rest;
        if !all.is_empty() {
            for (id, member) in &mut self.sockets {
                if member.kind == Some(Kind::Room) {
                    // A member that has gone is seen when its end is read.
                    let _ = member.write(&self.epoll, *id, &mut [IoSlice::new(&all)]);
                }
            }
        }
        Ok(true)
    }
}

impl Socket {
    fn shake_hands(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(bytes);
        if !text.ends_with("\r\n\r\n") {
            self.rest = bytes.to_vec();
            return Ok(());
        }
        let key = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            .map_or("", |(_, key)| key);
        let mut sha = sha1_smol::Sha1::new();
        sha.update(key.as_bytes());
        sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = base64::engine::general_purpose::STANDARD.encode(sha.digest().bytes());
        let reply = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {accept}\r\n\r\n"
        );
        self.kind = Some(if text.starts_with("GET /ws/room") {
            Kind::Room
        } else {
            Kind::Echo
        });
        self.stream.write_all(reply.as_bytes())
    }

    /// Writes all of `slices`, or keeps what the peer does not take.
    fn write(&mut self, epoll: &Epoll, id: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            slices
                .iter()
                .for_each(|slice| self.unsent.extend_from_slice(slice));
            return Ok(());
        }
        let mut left = slices;
        while !left.is_empty() {
            let some = left.len().min(1024);
            match self.stream.write_vectored(&left[..some]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        left.iter()
            .for_each(|slice| self.unsent.extend_from_slice(slice));
        let short = !self.unsent.is_empty();
        if short != std::mem::replace(&mut self.short, short) {
            epoll.wants(&self.stream, id, short)?;
        }
        Ok(())
    }
}
