//! A [`Spec`] in few bytes, as stores keep it: with every job, read at every claim. It never changes
//! for one version, reads no more than it was given, and takes no memory the caps of a [`Spec`] do not allow.
//!
//! Version 1, in this order; a *number* is a varint (seven bits a byte, least first), times are whole
//! milliseconds, a *name* is its length in one byte and its text:
//!
//! | what | as |
//! |---|---|
//! | version | a byte |
//! | `id` | 16 bytes, big-endian |
//! | which parts follow: [`part`] | a byte |
//! | `band`, `strikes` | a byte each |
//! | `queue`, `kind` | names |
//! | `retry` | see `packed/retry.rs`; one byte for the default |
//! | `timeout`, `expiry` | numbers, each if there |
//! | `unique` | its key; a byte for hold and conflict; the time of [`Hold::For`] |
//! | `group` | a name |
//! | `waits` | how many, a number; 16 bytes each |
//! | `keep` | two numbers, if not the default |
//! | `headers` | how many, a number; for each a name, a length, and the text of its value |

mod bytes;
mod retry;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Reader;

use super::spec::whole_millis;
use super::{Conflict, Failure, Hold, Id, Keep, Outcome, Reason, Spec, Unique, WaitFailed};

/// The first byte.
const VERSION: u8 = 1;

/// Bits of the byte that says which parts there are.
mod part {
    pub(super) const TIMEOUT: u8 = 1;
    pub(super) const EXPIRY: u8 = 1 << 1;
    pub(super) const UNIQUE: u8 = 1 << 2;
    pub(super) const GROUP: u8 = 1 << 3;
    pub(super) const WAITS: u8 = 1 << 4;
    /// [`WaitFailed::Run`](super::WaitFailed::Run); nothing follows.
    pub(super) const WAITS_RUN: u8 = 1 << 5;
    pub(super) const KEEP: u8 = 1 << 6;
    pub(super) const HEADERS: u8 = 1 << 7;
}

/// Why bytes are no packed [`Spec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Another release packed it.
    #[error(
        "the job is packed as version {0}, this release reads version {VERSION}: read it with the release that wrote it, or a newer one"
    )]
    Version(u8),
    /// What is there at this byte cannot be, or is missing, or should not follow.
    #[error("the packed job is damaged at byte {0}: enqueue it again under another id")]
    Damaged(usize),
}

impl Unreadable {
    /// How long a job of another release is left to workers that can read it.
    pub const LEFT: Duration = Duration::from_secs(30);

    /// How a store ends the lease of a job that a claim found so: nobody can run what is damaged, workers of the
    /// release that packed it can run the rest.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Version(_) => Outcome::Released {
                after: Self::LEFT,
                unknown: true,
            },
            Self::Damaged(_) => Outcome::Dead {
                reason: Reason::Corrupt,
                failure: Failure::new("its record cannot be read"),
            },
        }
    }
}

impl Spec {
    /// Appends the packed form to `out`. [`unpack`](Self::unpack) reads back any spec that
    /// [`NewJob::check`](super::NewJob::check) lets through, times rounded up to whole milliseconds.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let there = |there, part| if there { part } else { 0 };
        let parts = there(self.timeout.is_some(), part::TIMEOUT)
            | there(self.expiry.is_some(), part::EXPIRY)
            | there(self.unique.is_some(), part::UNIQUE)
            | there(self.group.is_some(), part::GROUP)
            | there(!self.waits.is_empty(), part::WAITS)
            | there(self.wait_failed == WaitFailed::Run, part::WAITS_RUN)
            | there(self.keep != Keep::default(), part::KEEP)
            | there(!self.headers.is_empty(), part::HEADERS);
        out.reserve(32 + self.queue.len() + self.kind.len());
        out.push(VERSION);
        out.extend_from_slice(&self.id.as_u128().to_be_bytes());
        out.extend_from_slice(&[parts, self.band, self.strikes]);
        bytes::name(out, &self.queue);
        bytes::name(out, &self.kind);
        retry::pack(&self.retry, out);
        for time in [self.timeout, self.expiry].into_iter().flatten() {
            bytes::number(out, whole_millis(time));
        }
        if let Some(unique) = &self.unique {
            pack_unique(unique, out);
        }
        if let Some(group) = &self.group {
            bytes::name(out, group);
        }
        if !self.waits.is_empty() {
            bytes::number(out, self.waits.len() as u64);
            for id in &self.waits {
                out.extend_from_slice(&id.as_u128().to_be_bytes());
            }
        }
        if parts & part::KEEP != 0 {
            bytes::number(out, whole_millis(self.keep.succeeded));
            bytes::number(out, whole_millis(self.keep.failed));
        }
        if !self.headers.is_empty() {
            bytes::number(out, self.headers.len() as u64);
            for (name, value) in &self.headers {
                bytes::name(out, name);
                bytes::number(out, value.len() as u64);
                out.extend_from_slice(value.as_bytes());
            }
        }
    }

    /// The spec that was packed.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if another version packed it or anything in it is damaged, as far as that can be
    /// seen: names, retry policy, band, strikes and caps are checked, trailing bytes are refused.
    pub fn unpack(packed: &[u8]) -> Result<Self, Unreadable> {
        Self::unpack_beside(packed, None)
    }

    /// As [`unpack`](Self::unpack); a queue and a kind that are those of `other` are shared with it. Jobs
    /// read together are mostly of one kind, and making the two names is most of the work.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub fn unpack_beside(packed: &[u8], other: Option<&Self>) -> Result<Self, Unreadable> {
        let mut from = Reader::new(packed);
        match from.byte()? {
            VERSION => {}
            // No release writes it, a broken disk does.
            0 => return Err(Unreadable::Damaged(0)),
            other => return Err(Unreadable::Version(other)),
        }
        let id = from.id()?;
        let parts = from.byte()?;
        let band = from.byte_in(0..=Self::BANDS - 1)?;
        let strikes = from.byte_in(1..=u8::MAX)?;
        let queue = from.name_like(other.map(|other| &other.queue))?;
        let kind = from.name_like(other.map(|other| &other.kind))?;
        let mut spec = Self {
            band,
            retry: retry::unpack(&mut from)?,
            strikes,
            ..Self::new(id, queue, kind)
        };
        if parts != 0 {
            spec.unpack_parts(parts, &mut from)?;
        }
        from.end()?;
        Ok(spec)
    }

    fn unpack_parts(&mut self, parts: u8, from: &mut Reader<'_>) -> Result<(), Unreadable> {
        let there = |part| parts & part != 0;
        if there(part::TIMEOUT) {
            self.timeout = Some(from.millis()?);
        }
        if there(part::EXPIRY) {
            self.expiry = Some(from.millis()?);
        }
        if there(part::UNIQUE) {
            self.unique = Some(unpack_unique(from)?);
        }
        if there(part::GROUP) {
            self.group = Some(from.name()?);
        }
        if there(part::WAITS) {
            self.waits = unpack_waits(from)?;
        }
        if there(part::WAITS_RUN) {
            self.wait_failed = WaitFailed::Run;
        }
        if there(part::KEEP) {
            self.keep = unpack_keep(from)?;
        }
        if there(part::HEADERS) {
            self.headers = unpack_headers(from)?;
        }
        Ok(())
    }
}

/// The hold in the low two bits, the conflict in the next two.
fn pack_unique(unique: &Unique, out: &mut Vec<u8>) {
    bytes::name(out, &unique.key);
    let conflict = match unique.conflict {
        Conflict::Keep => 0,
        Conflict::Replace => 1,
        Conflict::Reschedule => 2,
    };
    out.push(unique.hold.code() | conflict << 2);
    if let Hold::For(time) = unique.hold {
        bytes::number(out, whole_millis(time));
    }
}

fn unpack_unique(from: &mut Reader<'_>) -> Result<Unique, Unreadable> {
    let key = from.name()?;
    let at = from.at();
    let tags = from.byte()?;
    let conflict = match tags >> 2 {
        0 => Conflict::Keep,
        1 => Conflict::Replace,
        2 => Conflict::Reschedule,
        _ => return Err(Unreadable::Damaged(at)),
    };
    let hold = match tags & 3 {
        0 => Hold::UntilStart,
        1 => Hold::UntilDone,
        2 => Hold::For(from.millis()?),
        _ => return Err(Unreadable::Damaged(at)),
    };
    Ok(Unique {
        key,
        hold,
        conflict,
    })
}

fn unpack_waits(from: &mut Reader<'_>) -> Result<Vec<Id>, Unreadable> {
    let many = from.count(Spec::MAX_WAITS)?;
    (0..many).map(|_| from.id()).collect()
}

fn unpack_keep(from: &mut Reader<'_>) -> Result<Keep, Unreadable> {
    Ok(Keep {
        succeeded: from.millis()?,
        failed: from.millis()?,
    })
}

type Headers = Vec<(super::Name, Box<str>)>;

fn unpack_headers(from: &mut Reader<'_>) -> Result<Headers, Unreadable> {
    let many = from.count(Spec::MAX_HEADERS)?;
    let mut left = Spec::MAX_HEADER_BYTES;
    let mut headers = Headers::with_capacity(many);
    for _ in 0..many {
        let name = from.name()?;
        left = left.saturating_sub(name.len());
        let value = from.text_of(|from| from.count(left))?;
        left -= value.len();
        headers.push((name, value.into()));
    }
    Ok(headers)
}

/// A time that was packed as whole milliseconds.
const fn time(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
