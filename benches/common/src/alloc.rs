//! The counting allocator of feature `count`, and the side port that reports it.
//!
//! A time or instruction run never has it: without the feature this file counts nothing.

use std::net::SocketAddr;

/// Starts the side port, one above the server's, where every connection is told
/// `allocations bytes log-records` and closed. Does nothing without feature `count`.
#[cfg(not(feature = "count"))]
pub(crate) fn serve_counts(_: SocketAddr) {}

/// Calls of the allocator so far; always 0 without feature `count`.
#[cfg(not(feature = "count"))]
#[must_use]
pub fn allocations() -> u64 {
    0
}

#[cfg(feature = "count")]
pub use counted::allocations;
#[cfg(feature = "count")]
pub(crate) use counted::serve_counts;

#[cfg(feature = "count")]
mod counted {
    use super::SocketAddr;
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static CALLS: AtomicU64 = AtomicU64::new(0);
    static BYTES: AtomicU64 = AtomicU64::new(0);

    struct Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    fn count(bytes: usize) {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }

    // SAFETY: every call is handed to the system allocator unchanged.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller's promise about `layout` is passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller's promise about `layout` is passed on.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(size);
            // SAFETY: the caller's promises about `at`, `layout` and `size` are passed on.
            unsafe { System.realloc(at, layout, size) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            // SAFETY: the caller's promises about `at` and `layout` are passed on.
            unsafe { System.dealloc(at, layout) }
        }
    }

    /// Calls of the allocator so far.
    #[must_use]
    pub fn allocations() -> u64 {
        CALLS.load(Relaxed)
    }

    pub(crate) fn serve_counts(server: SocketAddr) {
        let side = SocketAddr::new(server.ip(), server.port() + 1);
        let listener = TcpListener::bind(side).expect("the side port is free");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let records = crate::logs::RECORDS.load(Relaxed);
                let (calls, bytes) = (CALLS.load(Relaxed), BYTES.load(Relaxed));
                // A reader that went away asks again.
                let _ = writeln!(stream, "{calls} {bytes} {records}");
            }
        });
    }
}
