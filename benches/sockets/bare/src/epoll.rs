//! Level-triggered epoll.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

const EVENTS: usize = 256;

pub(crate) struct Epoll(RawFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        check(fd).map(Self)
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
        check(unsafe { libc::epoll_ctl(self.0, what, of.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Fills `ready` with the ids of those that can be read or written.
    pub(crate) fn wait(&self, ready: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the array holds as many events as the call is told.
        let count =
            unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), EVENTS as i32, -1) };
        ready.clear();
        let count = check(count)? as usize;
        ready.extend(events[..count].iter().map(|event| event.u64));
        Ok(())
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
