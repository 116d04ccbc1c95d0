//! What a handler publishes while further messages wait for it goes out together: each member is visited once, not once for
//! every message. It holds back for one poll of one handler, at most 16 KiB, and never what anybody else publishes.

use std::cell::Cell;
use std::ptr;

use super::super::meeting::Meeting;
use super::Hub;
use super::shard::each;

/// In bytes.
const MOST: usize = 16 << 10;

thread_local! {
    static READER: Cell<Reader> = const { Cell::new(Reader::NONE) };
    /// Bytes held back; 0 is nothing.
    static BYTES: Cell<usize> = const { Cell::new(0) };
    /// Where they are, a bit for each shard.
    static OWED: Cell<Option<(Hub, u16)>> = const { Cell::new(None) };
}

/// Whose handler this thread polls.
#[derive(Clone, Copy)]
pub(in crate::ws) struct Reader {
    meeting: *const Meeting,
    /// It took a message, and another waits.
    behind: bool,
}

impl Reader {
    const NONE: Self = Self {
        meeting: ptr::null(),
        behind: false,
    };
}

/// Polls a handler.
pub(in crate::ws) fn during<T>(meeting: &Meeting, poll: impl FnOnce() -> T) -> T {
    let outer = READER.replace(Reader {
        meeting,
        behind: false,
    });
    if !outer.meeting.is_null() {
        // A handler blocks on an executor that polls another socket.
        settle();
    }
    let polled = poll();
    settle();
    READER.set(outer);
    polled
}

/// A message was asked for; whether another waits behind it.
pub(in crate::ws) fn read(meeting: &Meeting, behind: bool) {
    let reader = READER.get();
    if ptr::eq(reader.meeting, meeting) && reader.behind != behind {
        READER.set(Reader { behind, ..reader });
    }
}

/// Whether a message of `bytes` is held back.
pub(super) fn holds(bytes: usize) -> bool {
    if BYTES.get() + bytes > MOST {
        settle();
    }
    READER.get().behind && bytes <= MOST
}

/// A message was.
pub(super) fn owe(hub: &Hub, at: usize, bytes: usize) {
    let bit = 1 << at;
    match OWED.take() {
        Some((of, shards)) if of.is(hub) => OWED.set(Some((of, shards | bit))),
        other => {
            pay(other);
            OWED.set(Some((hub.clone(), bit)));
        }
    }
    BYTES.set(BYTES.get() + bytes);
}

/// Hands out what is held back: something follows that must not overtake it.
#[inline]
pub(in crate::ws) fn settle() {
    if BYTES.get() > 0 {
        BYTES.set(0);
        pay(OWED.take());
    }
}

#[cold]
fn pay(owed: Option<(Hub, u16)>) {
    if let Some((hub, shards)) = owed {
        each(u64::from(shards)).for_each(|at| hub.release(at));
    }
}
