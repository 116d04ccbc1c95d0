//! The load of the throughput run: a closed loop over 32 keep-alive connections on one epoll.
//!
//! Every answer is compared with the first one's shape and with the expected body.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::client::frame;
use crate::endpoint::Endpoint;

/// How many connections are busy at once.
pub(crate) const CONNECTIONS: usize = 32;

/// Connected and ready to drive one endpoint.
pub(crate) struct Load {
    epoll: i32,
    connections: Vec<Connection>,
    batch: Vec<u8>,
    depth: usize,
    body: Vec<u8>,
    /// Length of one whole answer; known after the first.
    total: Option<usize>,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    awaited: usize,
}

impl Load {
    pub(crate) fn connect(at: SocketAddr, endpoint: Endpoint) -> Outcome<Load> {
        // SAFETY: no pointers involved.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err("epoll_create1 failed".to_owned());
        }
        let mut load = Load {
            epoll,
            connections: Vec::new(),
            batch: endpoint.request().repeat(endpoint.depth()),
            depth: endpoint.depth(),
            body: endpoint.body(),
            total: None,
        };
        for index in 0..CONNECTIONS {
            load.add(index, at)
                .map_err(|e| format!("connecting to {at}: {e}"))?;
        }
        Ok(load)
    }

    fn add(&mut self, index: usize, at: SocketAddr) -> std::io::Result<()> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: index as u64,
        };
        // SAFETY: the event outlives the call, both descriptors are open.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll,
                libc::EPOLL_CTL_ADD,
                stream.as_raw_fd(),
                &raw mut event,
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
        self.connections.push(Connection {
            stream,
            input: Vec::new(),
            awaited: 0,
        });
        Ok(())
    }

    /// Keeps all connections busy for `length`, then waits for the answers still on their way.
    /// Returns the number of answers.
    pub(crate) fn run(&mut self, length: Duration) -> Outcome<u64> {
        let end = Instant::now() + length;
        let mut answers = 0;
        for index in 0..self.connections.len() {
            self.send(index)?;
        }
        let mut busy = self.connections.len();
        while busy > 0 {
            for index in self.wait()? {
                answers += self.receive(index)?;
                if self.connections[index].awaited > 0 {
                    continue;
                }
                if Instant::now() < end {
                    self.send(index)?;
                } else {
                    busy -= 1;
                }
            }
        }
        Ok(answers)
    }

    fn send(&mut self, index: usize) -> Outcome<()> {
        let connection = &mut self.connections[index];
        // A batch is a few KiB and the socket's buffer is empty: it is taken whole.
        connection
            .stream
            .write_all(&self.batch)
            .map_err(|e| format!("sending: {e}"))?;
        connection.awaited = self.depth;
        Ok(())
    }

    /// The connections that have input; an error when none has any for five seconds.
    fn wait(&self) -> Outcome<Vec<usize>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; CONNECTIONS];
        // SAFETY: the array holds as many events as the call is told.
        let ready =
            unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), CONNECTIONS as i32, 5_000) };
        match usize::try_from(ready) {
            Ok(0) => Err("no answer for five seconds".to_owned()),
            Ok(n) => Ok(events[..n].iter().map(|event| event.u64 as usize).collect()),
            Err(_) => Err("epoll_wait failed".to_owned()),
        }
    }

    /// Reads once and counts the answers that are complete.
    fn receive(&mut self, index: usize) -> Outcome<u64> {
        let connection = &mut self.connections[index];
        let mut chunk = [0; 32 * 1024];
        match connection.stream.read(&mut chunk) {
            Ok(0) => return Err("the server closed a busy connection".to_owned()),
            Ok(n) => connection.input.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(e) => return Err(format!("reading: {e}")),
        }
        if self.total.is_none() {
            self.total = frame(&connection.input)?.map(|frame| frame.total);
        }
        let Some(total) = self.total else {
            return Ok(0);
        };
        let whole = connection.input.len() / total;
        for answer in connection.input.chunks_exact(total) {
            if !answer.starts_with(b"HTTP/1.1 200 ") || !answer.ends_with(&self.body) {
                return Err(format!("wrong answer: {}", String::from_utf8_lossy(answer)));
            }
        }
        connection.input.drain(..whole * total);
        connection.awaited = connection
            .awaited
            .checked_sub(whole)
            .ok_or_else(|| "more answers than requests".to_owned())?;
        Ok(whole as u64)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.epoll) };
    }
}
