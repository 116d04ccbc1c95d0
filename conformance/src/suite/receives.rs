//! Counts the receive system calls of this process, by standing in for the C library's `recv`.
//!
//! A count of `poll_read` would not do: a poll that finds its readiness used up costs no system call,
//! and one that asks again does. `recv` is what std's, mio's and socket2's sockets receive with; a
//! runtime that uses something else is not counted, and the case says so instead of passing in silence.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static EXCLUDED: Cell<bool> = const { Cell::new(false) };
}

/// Receives on this thread are the client's, not the server's.
pub(crate) fn exclude_this_thread() {
    EXCLUDED.set(true);
}

/// How many receive calls all other threads make while `work` runs. One caller at a time.
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let before = CALLS.load(Ordering::Acquire);
    COUNTING.store(true, Ordering::Release);
    work();
    COUNTING.store(false, Ordering::Release);
    CALLS.load(Ordering::Acquire) - before
}

#[cfg(target_os = "linux")]
mod interposed {
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::Ordering;

    unsafe extern "C" {
        fn recvfrom(
            socket: c_int,
            buffer: *mut c_void,
            len: usize,
            flags: c_int,
            from: *mut c_void,
            from_len: *mut c_void,
        ) -> isize;
    }

    /// recv(2), counted.
    ///
    /// # Safety
    ///
    /// As recv(2): `buffer` is valid for writes of `len` bytes.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn recv(
        socket: c_int,
        buffer: *mut c_void,
        len: usize,
        flags: c_int,
    ) -> isize {
        if super::COUNTING.load(Ordering::Relaxed) && !super::EXCLUDED.get() {
            super::CALLS.fetch_add(1, Ordering::Relaxed);
        }
        let null = std::ptr::null_mut;
        // SAFETY: recv(2) is recvfrom(2) with null pointers, by its manual page; the rest is the
        // caller's promise.
        unsafe { recvfrom(socket, buffer, len, flags, null(), null()) }
    }
}
