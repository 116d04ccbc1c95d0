//! What waits to be sent: control frames go between data frames, ahead of those queued; Close goes last.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::encoded::Frame;

/// Answers to Pings that wait, in bytes. Beyond it only the latest Ping is answered (RFC 6455 §5.5.3).
const MAX_CONTROL: usize = 16 << 10;

/// The queue; it holds no memory when it is empty.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// The data frame to be sent next: kept here, so that one message at a time needs no queue.
    first: Option<Frame>,
    more: VecDeque<Frame>,
    /// Bytes of `first` that were taken.
    at: usize,
    /// Bytes of data frames that were not.
    data: usize,
    urgent: Option<Box<Urgent>>,
}

/// Control frames.
#[derive(Debug, Default)]
struct Urgent {
    frames: Vec<u8>,
    /// Bytes of `frames` that were taken.
    at: usize,
    /// Where the last frame starts, if it is a Pong.
    pong: Option<usize>,
    /// Where our Ping ends, while it is not taken.
    ping: Option<usize>,
    close: Vec<u8>,
    /// Bytes of `close` that were taken.
    close_at: usize,
}

/// What was taken for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The last byte of our Ping.
    pub(super) ping: bool,
    /// The last byte of our Close.
    pub(super) close: bool,
}

impl Out {
    /// Bytes of messages that wait.
    #[inline]
    pub(super) fn data(&self) -> usize {
        self.data
    }

    /// Bytes that wait, of any kind.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.data + self.urgent.as_ref().map_or(0, |urgent| urgent.len())
    }

    #[inline]
    pub(super) fn push(&mut self, frame: Frame) {
        self.data += frame.len();
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.more.push_back(frame);
        }
    }

    pub(super) fn push_ping(&mut self, frame: &[u8]) {
        let urgent = self.urgent();
        urgent.push(frame);
        urgent.pong = None;
        urgent.ping = Some(urgent.frames.len());
    }

    pub(super) fn push_pong(&mut self, frame: &[u8]) {
        let urgent = self.urgent();
        if urgent.frames.len() - urgent.at > MAX_CONTROL
            && let Some(pong) = urgent.pong
            && pong >= urgent.at
        {
            urgent.frames.truncate(pong);
        }
        urgent.push(frame);
        urgent.pong = Some(urgent.frames.len() - frame.len());
    }

    /// Once; it goes after everything else.
    pub(super) fn set_close(&mut self, frame: Vec<u8>) {
        self.urgent().close = frame;
    }

    /// Whether a byte of our Close was taken.
    pub(super) fn close_begun(&self) -> bool {
        self.urgent
            .as_ref()
            .is_some_and(|urgent| urgent.close_at > 0)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn urgent(&mut self) -> &mut Urgent {
        self.urgent.get_or_insert_default()
    }

    /// Lends what waits, in order, as many pieces as fit; how many they are.
    #[inline]
    pub(super) fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match (self.only(), slices) {
            (Some(piece), [slot, ..]) => {
                *slot = IoSlice::new(piece);
                1
            }
            (_, slices) => self.fill_all(slices),
        }
    }

    fn fill_all<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty()
                && let Some(slot) = slices.get_mut(count)
            {
                *slot = IoSlice::new(bytes);
                count += 1;
            }
        };
        let (begun, whole) = if self.at > 0 {
            (self.first.as_ref(), None)
        } else {
            (None, self.first.as_ref())
        };
        if let Some(frame) = begun {
            let front = self.at.min(frame.front.len());
            put(&frame.front[front..]);
            if let Some(rest) = &frame.rest {
                put(&rest[self.at - front..]);
            }
        }
        if let Some(urgent) = &self.urgent {
            put(&urgent.frames[urgent.at..]);
        }
        for frame in whole.into_iter().chain(&self.more) {
            put(&frame.front);
            if let Some(rest) = &frame.rest {
                put(rest);
            }
        }
        if let Some(urgent) = &self.urgent {
            put(&urgent.close[urgent.close_at..]);
        }
        count
    }

    /// The one piece there is, if there is but one.
    #[inline]
    pub(super) fn only(&self) -> Option<&[u8]> {
        match &self.first {
            Some(Frame { front, rest: None }) if self.more.is_empty() && self.urgent.is_none() => {
                Some(&front[self.at..])
            }
            _ => None,
        }
    }

    /// The first `count` bytes were taken.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Taken {
        if count == self.data && self.only().is_some() {
            (self.first, self.at, self.data) = (None, 0, 0);
            return Taken::default();
        }
        self.take_some(count)
    }

    fn take_some(&mut self, mut count: usize) -> Taken {
        let mut taken = Taken::default();
        while count > 0 {
            match (self.urgent.as_deref_mut(), &self.first) {
                (Some(urgent), _) if self.at == 0 && urgent.at < urgent.frames.len() => {
                    let some = count.min(urgent.frames.len() - urgent.at);
                    urgent.at += some;
                    count -= some;
                    if urgent.ping.is_some_and(|ping| urgent.at >= ping) {
                        urgent.ping = None;
                        taken.ping = true;
                    }
                }
                (_, Some(first)) => {
                    let some = count.min(first.len() - self.at);
                    self.at += some;
                    self.data -= some;
                    count -= some;
                    if self.at == first.len() {
                        self.at = 0;
                        self.first = self.more.pop_front();
                    }
                }
                (Some(urgent), None) if urgent.close_at < urgent.close.len() => {
                    let some = count.min(urgent.close.len() - urgent.close_at);
                    urgent.close_at += some;
                    count -= some;
                    taken.close = urgent.close_at == urgent.close.len();
                }
                // More than was lent: a mistake of the driver that harms nobody.
                _ => break,
            }
        }
        self.give_up_space();
        taken
    }

    fn give_up_space(&mut self) {
        if self.more.is_empty() && self.more.capacity() > 0 {
            self.more = VecDeque::new();
        }
        if let Some(urgent) = &self.urgent
            && urgent.at == urgent.frames.len()
            && (urgent.close.is_empty() || urgent.close_at == urgent.close.len())
        {
            self.urgent = None;
        }
    }
}

impl Urgent {
    /// Bytes that wait.
    fn len(&self) -> usize {
        self.frames.len() - self.at + self.close.len() - self.close_at
    }

    fn push(&mut self, frame: &[u8]) {
        // What was taken makes room, so that a queue that never runs dry does not grow.
        if self.at > 0 && self.at >= self.frames.len() / 2 {
            self.frames.drain(..self.at);
            self.ping = self.ping.map(|ping| ping - self.at);
            self.at = 0;
        }
        self.frames.extend_from_slice(frame);
    }
}

#[cfg(test)]
mod tests;
