//! Entropy as an argument: one seed at boot, and ChaCha12 streams forked from it. Nothing here
//! asks the operating system for randomness.

use std::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

use crate::time::Wall;
use crate::uuid;

/// 32 bytes of entropy from which a whole stream of random numbers follows.
///
/// An adapter takes one from the operating system at boot; the simulator is given one. Its
/// `Debug` form hides the bytes, because session ids are drawn from it.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed spread from a small number, for tests and simulation. It holds only 64 bits of
    /// entropy: never use it to serve real users.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        let mut bytes = [0; 32];
        let mut state = number;
        let mut at = 0;
        while at < 32 {
            // SplitMix64: neighbouring numbers must give unrelated seeds.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            let word = word.to_le_bytes();
            let mut byte = 0;
            while byte < 8 {
                bytes[at + byte] = word[byte];
                byte += 1;
            }
            at += 8;
        }
        Self(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A stream of random numbers: ChaCha12, buffered by the block, some 320 bytes.
///
/// Unpredictable enough for session ids, and the same numbers for the same seed on every machine.
/// It is not `Clone`: two copies would hand out the same ids. [`Rng::fork`] instead.
///
/// ```
/// use tideway_engine::{Rng, Seed};
///
/// let mut boot = Rng::new(&Seed::from_u64(7));
/// let mut connection = Rng::new(&boot.fork());
/// assert!(connection.below(6) < 6);
/// ```
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// The stream that follows from `seed`.
    #[must_use]
    pub fn new(seed: &Seed) -> Self {
        Self(ChaCha12Rng::from_seed(seed.0))
    }

    /// The seed of an independent stream, taken from the next 32 bytes of this one.
    pub fn fork(&mut self) -> Seed {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Seed(bytes)
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from zero up to, not including, `n`, each as likely as any other; zero if `n` is.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire's multiply: the high half is the answer; the low half tells the few draws that
        // would favour small answers, which are drawn again.
        let mut product = u128::from(self.u64()) * u128::from(n);
        if (product as u64) < n {
            let bias = n.wrapping_neg() % n;
            while (product as u64) < bias {
                product = u128::from(self.u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// True `per_million` times in a million: never at 0, always from 1 000 000 on.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// Fills `bytes` with random ones.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A time-ordered UUID (RFC 9562 §5.7): 48 bits of `wall` milliseconds, 74 random bits.
    ///
    /// Two drawn in the same millisecond are in no particular order. Times before 1970 count as
    /// 1970, times after 10889 as the last the format can hold.
    pub fn uuid_v7(&mut self, wall: Wall) -> u128 {
        let low = self.u32() & 0xfff;
        uuid::version_7(wall, low as u16, self.u64())
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Rng, Seed};

    #[test]
    fn debug_output_hides_the_seed() {
        let seed = Seed::from_u64(1);
        assert_eq!(format!("{seed:?}{:?}", Rng::new(&seed)), "Seed(..)Rng(..)");
    }

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut rng = Rng::new(&Seed::from_u64(42));
        insta::assert_snapshot!(format!("{:016x} {:08x}", rng.u64(), rng.u32()), @"280b7b79f392fa12 bc931d07");
    }

    #[test]
    fn below_is_even() {
        let mut rng = Rng::new(&Seed::from_u64(3));
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[rng.below(6) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&n| (9_600..10_400).contains(&n)),
            "{seen:?}"
        );
    }

    #[test]
    fn chance_keeps_its_ends() {
        let mut rng = Rng::new(&Seed::from_u64(4));
        for _ in 0..1_000 {
            assert!(!rng.chance(0));
            assert!(rng.chance(1_000_000));
        }
        let hits = (0..100_000).filter(|_| rng.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_stream(seed: u64) {
            let (mut a, mut b) = (Rng::new(&Seed::from_u64(seed)), Rng::new(&Seed::from_u64(seed)));
            let (fork_a, fork_b) = (a.fork(), b.fork());
            prop_assert_eq!(fork_a.0, fork_b.0);
            prop_assert_eq!(a.u64(), b.u64());
            prop_assert_ne!(Rng::new(&fork_a).u64(), a.u64());
        }

        #[test]
        fn below_stays_below(seed: u64, n: u64) {
            let drawn = Rng::new(&Seed::from_u64(seed)).below(n);
            prop_assert!(drawn < n || (n == 0 && drawn == 0));
        }

        #[test]
        fn neighbouring_numbers_seed_unrelated_streams(number in 0..u64::MAX) {
            let (a, b) = (Seed::from_u64(number), Seed::from_u64(number + 1));
            let differ: u32 = a.0.iter().zip(b.0).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert!((64..192).contains(&differ), "{} of 256 bits differ", differ);
        }
    }
}
