//! Numbers and names as bytes, and back. The reader never looks past its end and says where it stopped.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Unreadable;
use crate::jobs::{Id, Name};

/// Appends a number: seven bits a byte, least first.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a name: its length, which fits a byte, and its text.
pub(super) fn name(out: &mut Vec<u8>, name: &Name) {
    const { assert!(Name::MAX <= u8::MAX as usize) }
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

/// What is left to read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(packed: &'a [u8]) -> Self {
        Self {
            rest: packed,
            whole: packed.len(),
        }
    }

    /// How many bytes were read.
    pub(super) const fn at(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// Something at the next byte cannot be.
    #[cold]
    fn bad(&self) -> Unreadable {
        Unreadable::Damaged(self.at())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.bad())?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn byte_in(&mut self, range: RangeInclusive<u8>) -> Result<u8, Unreadable> {
        let byte = self.byte()?;
        if range.contains(&byte) {
            Ok(byte)
        } else {
            Err(Unreadable::Damaged(self.at() - 1))
        }
    }

    pub(super) fn id(&mut self) -> Result<Id, Unreadable> {
        let (id, rest) = self.rest.split_first_chunk().ok_or_else(|| self.bad())?;
        self.rest = rest;
        Ok(Id::from_u128(u128::from_be_bytes(*id)))
    }

    /// A number; [`Unreadable`] where it begins if it does not fit 64 bits.
    pub(super) fn number(&mut self) -> Result<u64, Unreadable> {
        let at = self.at();
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Unreadable::Damaged(at));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable::Damaged(at))
    }

    pub(super) fn number_32(&mut self) -> Result<u32, Unreadable> {
        let at = self.at();
        u32::try_from(self.number()?).map_err(|_| Unreadable::Damaged(at))
    }

    /// A number of things of which there are at most `most`.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, Unreadable> {
        let at = self.at();
        let count = usize::try_from(self.number()?).ok();
        count
            .filter(|count| *count <= most)
            .ok_or(Unreadable::Damaged(at))
    }

    pub(super) fn millis(&mut self) -> Result<Duration, Unreadable> {
        self.number().map(super::time)
    }

    /// A text as long as `length` says.
    pub(super) fn text_of(
        &mut self,
        length: impl FnOnce(&mut Self) -> Result<usize, Unreadable>,
    ) -> Result<&'a str, Unreadable> {
        let length = length(self)?;
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.bad())?;
        let text = std::str::from_utf8(text).map_err(|_| self.bad())?;
        self.rest = rest;
        Ok(text)
    }

    pub(super) fn name(&mut self) -> Result<Name, Unreadable> {
        let at = self.at();
        let text = self.text_of(|from| from.byte().map(usize::from))?;
        Name::new(text).map_err(|_| Unreadable::Damaged(at))
    }

    /// A name; shared with `other` if they are the same.
    pub(super) fn name_like(&mut self, other: Option<&Name>) -> Result<Name, Unreadable> {
        if let Some(name) = other
            && let Some(rest) = self.rest.strip_prefix(&[name.len() as u8])
            && let Some(rest) = rest.strip_prefix(name.as_bytes())
        {
            self.rest = rest;
            return Ok(name.clone());
        }
        self.name()
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), Unreadable> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.bad())
        }
    }
}
