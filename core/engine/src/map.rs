//! A hash map whose order follows from a seed: replayable in the simulator, unguessable from
//! outside. Hashes that are stored come from [`FoldHasher::fixed`] alone.

use std::hash::{BuildHasher, Hasher};

use crate::rng::{Rng, Seed};

/// A `HashMap` that takes its hasher from a [`Seed`]: `Map::with_hasher(Keyed::from_seed(&seed))`.
///
/// There is no `Map::new`: a map with an order of its own could not be replayed.
#[allow(
    clippy::disallowed_types,
    reason = "the one place that gives it a seeded order"
)]
pub type Map<K, V> = std::collections::HashMap<K, V, Keyed>;

/// Two secret words that key every hash of a [`Map`].
///
/// Clients choose many of our keys (paths, addresses, room names). Not knowing these words, they
/// cannot choose keys that collide. The hash is not cryptographic: never show one to a client.
#[derive(Clone)]
pub struct Keyed {
    start: u64,
    spread: u64,
}

impl Keyed {
    /// Keys drawn from the first 16 bytes of the stream of `seed`.
    #[must_use]
    pub fn from_seed(seed: &Seed) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            start: rng.u64(),
            spread: rng.u64(),
        }
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(..)")
    }
}

impl BuildHasher for Keyed {
    type Hasher = FoldHasher;

    #[inline]
    fn build_hasher(&self) -> FoldHasher {
        FoldHasher {
            sum: self.start,
            spread: self.spread,
        }
    }
}

/// One hash in the making: each word is mixed in by a 64×64→128-bit multiply whose halves are
/// folded together, as wyhash and foldhash do. Made by [`Keyed`].
#[derive(Clone)]
pub struct FoldHasher {
    sum: u64,
    spread: u64,
}

impl FoldHasher {
    /// A hasher whose answers are the same in every process and release, for fingerprints that are
    /// stored. Keyed by nothing secret: never for keys that a client chooses.
    #[must_use]
    pub const fn fixed() -> Self {
        Self {
            sum: 0x243f_6a88_85a3_08d3,
            spread: 0x1319_8a2e_0370_7344,
        }
    }

    #[inline]
    fn mix(&mut self, a: u64, b: u64) {
        // The rotation keeps the order of words significant: (x, y) is not (y, x).
        self.sum = fold(self.sum.rotate_left(23) ^ a, self.spread ^ b);
    }
}

impl std::fmt::Debug for FoldHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FoldHasher(..)")
    }
}

impl Hasher for FoldHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let pair = u128::from_le_bytes(*pair);
            self.mix(pair as u64, (pair >> 64) as u64);
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        let last = u128::from_le_bytes(last);
        self.mix(last as u64, (last >> 64) as u64);
        // Without the length, trailing zero bytes would not count.
        self.sum = self.sum.wrapping_add(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.mix(u64::from(n), 0);
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.mix(u64::from(n), 0);
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.mix(u64::from(n), 0);
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.mix(n, 0);
    }

    #[inline]
    fn write_u128(&mut self, n: u128) {
        self.mix(n as u64, (n >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64, 0);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.sum ^ self.spread, 0x9e37_79b9_7f4a_7c15)
    }
}

/// The two halves of a full multiply, one laid over the other.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::Hash;

    use proptest::prelude::*;

    use super::*;

    fn hash(seed: u64, value: impl Hash) -> u64 {
        Keyed::from_seed(&Seed::from_u64(seed)).hash_one(value)
    }

    #[test]
    fn a_map_keeps_its_order_for_its_seed() {
        let order = |seed| {
            let mut map = Map::with_hasher(Keyed::from_seed(&Seed::from_u64(seed)));
            map.extend((0..100).map(|n| (format!("/users/{n}"), n)));
            map.into_values().collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    /// So many that chance alone keeps every bucket near its mean of 256: half of it is eight standard
    /// deviations off. (With 8 192 keys a perfect hash failed once in twenty runs.)
    const KEYS: u64 = 32_768;

    /// The map uses the low bits for the bucket and the top seven for the tag.
    fn assert_spread(hashes: &[u64]) {
        let whole: BTreeSet<_> = hashes.iter().collect();
        assert_eq!(whole.len(), hashes.len(), "whole hashes collide");
        for shift in [0, 57] {
            let mut buckets = [0_u32; 128];
            for hash in hashes {
                buckets[(hash >> shift & 127) as usize] += 1;
            }
            let mean = hashes.len() as u32 / 128;
            for n in buckets {
                assert!((mean / 2..mean * 2).contains(&n), "{n} keys, mean {mean}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn counters_spread(seed: u64, left in prop::sample::select(vec![0, 3, 12, 32, 49, 51])) {
            assert_spread(&(0..KEYS).map(|n| hash(seed, n.rotate_left(left))).collect::<Vec<_>>());
        }

        #[test]
        fn paths_spread(seed: u64) {
            assert_spread(&(0..KEYS).map(|n| hash(seed, format!("/room/{n}"))).collect::<Vec<_>>());
        }

        #[test]
        fn zeros_of_different_length_differ(seed: u64) {
            let zeros = [0_u8; 64];
            let hashes: BTreeSet<_> = (0..=64)
                .map(|len| {
                    let mut hasher = Keyed::from_seed(&Seed::from_u64(seed)).build_hasher();
                    hasher.write(&zeros[..len]);
                    hasher.finish()
                })
                .collect();
            prop_assert_eq!(hashes.len(), 65);
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_flips_about_half(seed: u64, n: u64, bit in 0..64_u32) {
            let flipped = (hash(seed, n) ^ hash(seed, n ^ 1 << bit)).count_ones();
            prop_assert!((10..=54).contains(&flipped), "{} bits", flipped);
        }

        #[test]
        fn the_key_matters(seed in 0..u64::MAX, text: String) {
            prop_assert_ne!(hash(seed, &text), hash(seed + 1, &text));
        }

        #[test]
        fn order_matters(seed: u64, a: u64, b: u64) {
            prop_assume!(a != b);
            prop_assert_ne!(hash(seed, (a, b)), hash(seed, (b, a)));
        }
    }
}
