//! Names of jobs and of those who run them: 128 bits each. Draws from a given generator, never
//! from a clock or the system.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rng::Rng;
use crate::time::Wall;
use crate::uuid::format_uuid;

/// A job's id: a UUID version 7 (RFC 9562 §5.7) made by the client, so that enqueuing is idempotent.
///
/// The first 12 bits of its `rand_b` are a hash of the queue, so that an id alone finds its shard.
/// Ids sort by time of making; those of one [`Ids`] sort in the order they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

impl Id {
    /// The id with these 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits; big-endian they sort as the text does.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The 12 bits that say which shard it is on: [`shard_of`] its queue.
    #[must_use]
    pub const fn shard(self) -> u16 {
        (self.0 >> 50) as u16 & 0xfff
    }
}

/// 12 bits of a stable hash of a queue's name (FNV-1a, folded). Part of what is stored: it never changes.
#[must_use]
pub const fn shard_of(queue: &str) -> u16 {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < queue.len() {
        sum = (sum ^ queue.as_bytes()[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    ((sum >> 36 ^ sum >> 12 ^ sum) & 0xfff) as u16
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format_uuid(self.0);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return Err(IdError);
        }
        let mut bits = 0_u128;
        for (at, byte) in bytes.iter().enumerate() {
            match (at, byte) {
                (8 | 13 | 18 | 23, b'-') => {}
                (8 | 13 | 18 | 23, _) => return Err(IdError),
                (_, byte) => {
                    let digit = char::from(*byte).to_digit(16).ok_or(IdError)?;
                    bits = bits << 4 | u128::from(digit);
                }
            }
        }
        Ok(Self(bits))
    }
}

/// A text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: write 36 characters, as in 017f22e2-79b0-7cc3-98c4-dc0c0c07398f")]
pub struct IdError;

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes ids: each greater than the one before, even when the clock stands still or goes back.
#[derive(Debug)]
pub struct Ids {
    rng: Rng,
    /// Milliseconds and the 12 bits after them, as one number.
    last: u64,
}

impl Ids {
    /// Ids drawn from `rng`.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self { rng, last: 0 }
    }

    /// An id for a job in `queue`, made at `wall`.
    pub fn next(&mut self, wall: Wall, queue: &str) -> Id {
        let random = self.rng.u64();
        // Half of the 12 bits are random at first; the rest is room to count within the millisecond.
        let fresh = (wall.0.clamp(0, (1 << 48) - 1) as u64) << 12 | random & 0x7ff;
        self.last = fresh.max(self.last + 1);
        let (millis, count) = (u128::from(self.last >> 12), u128::from(self.last & 0xfff));
        let rest = u128::from(random >> 14);
        let shard = u128::from(shard_of(queue));
        Id(millis << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | shard << 50 | rest)
    }
}

/// Who holds a lease: a fresh random number per *incarnation* of a process, never its name. A
/// restarted worker is another owner, so it cannot keep its predecessor's jobs alive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner(pub u128);

impl Owner {
    /// A new incarnation.
    pub fn draw(rng: &mut Rng) -> Self {
        Self(u128::from(rng.u64()) << 64 | u128::from(rng.u64()))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner-{:08x}", self.0 >> 96)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Rng, Seed};

    proptest! {
        #[test]
        fn ids_of_one_maker_grow_whatever_the_clock_does(seed: u64, times in prop::collection::vec(-5_i64..1 << 49, 1..50)) {
            let mut ids = Ids::new(Rng::new(&Seed::from_u64(seed)));
            let mut last = None;
            for time in times {
                let id = ids.next(Wall(time), "mail");
                prop_assert!(Some(id) > last);
                last = Some(id);
            }
        }

        #[test]
        fn an_id_is_a_version_7_that_names_its_shard(seed: u64, time in 0_i64..1 << 48, queue in "[a-z]{1,20}") {
            let id = Ids::new(Rng::new(&Seed::from_u64(seed))).next(Wall(time), &queue);
            prop_assert_eq!(id.as_u128() >> 76 & 0xf, 7);
            prop_assert_eq!(id.as_u128() >> 62 & 0b11, 0b10);
            prop_assert_eq!((id.as_u128() >> 80) as i64, time);
            prop_assert_eq!(id.shard(), shard_of(&queue));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn bad_text_is_refused(text in ".{0,40}") {
            if let Ok(id) = text.parse::<Id>() {
                prop_assert_eq!(id.to_string(), text.to_lowercase());
            }
        }
    }

    #[test]
    fn the_shard_of_a_name_never_changes() {
        assert_eq!(
            [shard_of(""), shard_of("default"), shard_of("mail")],
            [0x8c9, 0xda3, 0x8e4]
        );
    }
}
