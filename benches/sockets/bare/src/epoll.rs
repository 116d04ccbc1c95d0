//! Level-triggered epoll.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

const EVENTS: usize = 256;

pub(crate) struct Epoll {
    fd: RawFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        check(fd).map(|fd| Self { fd, events })
    }

    pub(crate) fn add(&self, of: &impl AsRawFd, id: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, of, id, libc::EPOLLIN)
    }

    /// Waits for room to write too, or only for bytes.
    pub(crate) fn wants(&self, of: &impl AsRawFd, id: u64, room: bool) -> io::Result<()> {
        let events = if room { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN };
        self.control(libc::EPOLL_CTL_MOD, of, id, events)
    }

    fn control(&self, what: i32, of: &impl AsRawFd, id: u64, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: id,
        };
        // SAFETY: the event outlives the call.
        check(unsafe { libc::epoll_ctl(self.fd, what, of.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Waits; the ids of those that can be read or written.
    pub(crate) fn wait(&mut self, ready: &mut Vec<u64>) -> io::Result<()> {
        let (events, most) = (self.events.as_mut_ptr(), EVENTS as i32);
        // SAFETY: there are as many events as the call is told.
        let count = check(unsafe { libc::epoll_wait(self.fd, events, most, -1) })? as usize;
        ready.clear();
        ready.extend(self.events[..count].iter().map(|event| event.u64));
        Ok(())
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
