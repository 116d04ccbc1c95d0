//! The load: sockets on one epoll that send a batch, await its replies, and send the next. Every reply is compared
//! with the first one, which was looked into.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::frame;
use crate::Outcome;

/// Read at once.
const BUFFER: usize = 256 << 10;
const EVENTS: usize = 256;

/// Sockets that are open and idle.
pub(crate) struct Load {
    epoll: i32,
    sockets: Vec<Socket>,
    batch: Vec<u8>,
    /// One reply, over and over: so that what is read compares with it from any of its bytes on.
    pattern: Vec<u8>,
    reply: usize,
    depth: usize,
    room: bool,
    buffer: Vec<u8>,
}

struct Socket {
    stream: TcpStream,
    /// Bytes of the batch that are still to be sent.
    unsent: usize,
    /// Bytes of replies that are awaited.
    awaited: usize,
    /// The first byte of a Ping came last.
    ping: bool,
}

/// The first byte of a Ping, which heartbeats send between frames, and empty. Whatever else is sent is an answer to it.
const PING: u8 = 0x89;

impl Load {
    /// `count` sockets, each of which has had a message.
    pub(crate) fn connect(at: SocketAddr, cell: &Cell, count: usize) -> Outcome<Load> {
        // SAFETY: no pointers involved.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err("epoll_create1 failed".to_owned());
        }
        let streams = (0..count)
            .map(|_| frame::connect(at, cell.path(), cell.is_deflated()))
            .collect::<Outcome<Vec<_>>>()?;
        let mut reply = Vec::new();
        if cell.is_room() {
            // Whoever joins asynchronously has done so by then.
            std::thread::sleep(Duration::from_millis(50));
            reply = frame::exchange(&streams[0], cell)?;
            for stream in &streams[1..] {
                frame::receive(stream, cell)?;
            }
        } else {
            for stream in &streams {
                reply = frame::exchange(stream, cell)?;
            }
        }
        let mut load = Load {
            epoll,
            sockets: Vec::new(),
            batch: frame::message(cell).repeat(cell.depth),
            pattern: reply.repeat(1 + BUFFER.div_ceil(reply.len())),
            reply: reply.len(),
            depth: cell.depth,
            room: cell.is_room(),
            buffer: vec![0; BUFFER],
        };
        for stream in streams {
            load.add(stream).map_err(|e| format!("watching: {e}"))?;
        }
        Ok(load)
    }

    fn add(&mut self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
            u64: self.sockets.len() as u64,
        };
        let fd = stream.as_raw_fd();
        // SAFETY: the event outlives the call, both descriptors are open.
        let result =
            unsafe { libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
        self.sockets.push(Socket {
            stream,
            unsent: 0,
            awaited: 0,
            ping: false,
        });
        Ok(())
    }

    /// Keeps the server busy for `length`, then waits for what is still on its way. Returns the number of replies.
    pub(crate) fn run(&mut self, length: Duration) -> Outcome<u64> {
        let end = Instant::now() + length;
        let mut replies = 0;
        let senders = if self.room { 1 } else { self.sockets.len() };
        for index in 0..senders {
            self.begin(index)?;
        }
        let whole = self.reply * self.depth;
        let mut busy = self.sockets.len();
        while busy > 0 {
            for index in self.wait()? {
                self.send(index)?;
                if !self.receive(index)? {
                    continue;
                }
                replies += (whole / self.reply) as u64;
                if self.room {
                    busy -= 1;
                    if busy == 0 && Instant::now() < end {
                        busy = self.sockets.len();
                        self.begin(0)?;
                    }
                } else if Instant::now() < end {
                    self.begin(index)?;
                } else {
                    busy -= 1;
                }
            }
        }
        Ok(replies)
    }

    /// Sends `count` batches on the first socket, no more often than `every`, each when the last has come back. Returns
    /// how long each took to each who got it.
    pub(crate) fn batches(&mut self, count: usize, every: Duration) -> Outcome<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            self.begin(0)?;
            let mut busy = if self.room { self.sockets.len() } else { 1 };
            while busy > 0 {
                for index in self.wait()? {
                    self.send(index)?;
                    if self.receive(index)? {
                        times.push(begun.elapsed());
                        busy -= 1;
                    }
                }
            }
            std::thread::sleep(every.saturating_sub(begun.elapsed()));
        }
        Ok(times)
    }

    /// How many messages a batch has from now on.
    pub(crate) fn set_depth(&mut self, cell: &Cell, depth: usize) {
        self.batch = frame::message(cell).repeat(depth);
        self.depth = depth;
    }

    /// A batch goes out on a socket; in a room all await it.
    fn begin(&mut self, index: usize) -> Outcome<()> {
        let awaited = self.reply * self.depth;
        if self.room {
            self.sockets
                .iter_mut()
                .for_each(|socket| socket.awaited = awaited);
        }
        let socket = &mut self.sockets[index];
        socket.awaited = awaited;
        socket.unsent = self.batch.len();
        self.send(index)
    }

    fn send(&mut self, index: usize) -> Outcome<()> {
        let socket = &mut self.sockets[index];
        while socket.unsent > 0 {
            let from = self.batch.len() - socket.unsent;
            match socket.stream.write(&self.batch[from..]) {
                Ok(written) => socket.unsent -= written,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("sending: {e}")),
            }
        }
        Ok(())
    }

    /// The sockets something happened to; an error when nothing does for five seconds.
    fn wait(&self) -> Outcome<Vec<usize>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the array holds as many events as the call is told.
        let ready =
            unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), EVENTS as i32, 5_000) };
        match usize::try_from(ready) {
            Ok(0) => Err("no reply for five seconds".to_owned()),
            Ok(n) => Ok(events[..n].iter().map(|event| event.u64 as usize).collect()),
            Err(_) => Err("epoll_wait failed".to_owned()),
        }
    }

    /// Reads what is there; whether the last of the replies came.
    fn receive(&mut self, index: usize) -> Outcome<bool> {
        let socket = &mut self.sockets[index];
        let before = socket.awaited;
        while socket.awaited > 0 {
            let read = match socket.stream.read(&mut self.buffer) {
                Ok(0) => return Err("the server closed a busy socket".to_owned()),
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("reading: {e}")),
            };
            let came = without_pings(&mut self.buffer, read, socket, self.reply);
            if came > socket.awaited {
                return Err("more came than was asked for".to_owned());
            }
            let at = (self.reply * self.depth - socket.awaited) % self.reply;
            if self.buffer[..came] != self.pattern[at..at + came] {
                return Err("a reply differs from the first".to_owned());
            }
            socket.awaited -= came;
            if read < BUFFER {
                // Whatever comes later is told.
                break;
            }
        }
        Ok(before > 0 && socket.awaited == 0)
    }
}

/// Takes Pings out of `bytes`, which continue what `socket` awaits; how many bytes are left.
fn without_pings(bytes: &mut [u8], len: usize, socket: &mut Socket, reply: usize) -> usize {
    let mut at = (reply - socket.awaited % reply) % reply;
    let (mut from, mut to) = (0, 0);
    while from < len {
        if socket.ping {
            socket.ping = false;
            from += 1;
            continue;
        }
        if at == 0 && bytes[from] == PING {
            socket.ping = true;
            from += 1;
            continue;
        }
        let some = (reply - at).min(len - from);
        if from != to {
            bytes.copy_within(from..from + some, to);
        }
        from += some;
        to += some;
        at = (at + some) % reply;
    }
    to
}

impl Drop for Load {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.epoll) };
    }
}
