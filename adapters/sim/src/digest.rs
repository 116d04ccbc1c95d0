//! A running hash of everything that happened, so that two runs can be compared in one number.
//! Not cryptographic: it tells replays apart, it does not resist an attacker.

/// FNV-1a's 128-bit offset basis and prime, fed by the word instead of by the byte.
const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u128);

/// What happened; the first word of each record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record {
    Spawn = 1,
    Poll,
    Timer,
    Send,
    Arrive,
    Read,
    Crash,
    Cut,
    Heal,
    Wall,
}

impl Digest {
    pub(crate) fn new(seed: u64) -> Self {
        let mut digest = Self(BASIS);
        digest.word(seed);
        digest
    }

    /// Records one event: its kind, when it happened, and two numbers that identify it.
    pub(crate) fn record(&mut self, what: Record, at: u64, numbers: [u64; 2]) {
        self.word(what as u64);
        self.word(at);
        self.word(numbers[0]);
        self.word(numbers[1]);
    }

    /// Records bytes; their number belongs to a record before them.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn value(&self) -> u128 {
        self.0
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ u128::from(word)).wrapping_mul(PRIME);
        // A product carries upwards only; fold the high half back into the low one.
        self.0 ^= self.0 >> 67;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let of = |bytes: &[u8]| {
            let mut digest = Digest::new(1);
            digest.bytes(bytes);
            digest.value()
        };
        let base = [0_u8; 24];
        for bit in 0..base.len() * 8 {
            let mut other = base;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&base), of(&other), "bit {bit}");
        }
        assert_ne!(Digest::new(1).value(), Digest::new(2).value());
    }
}
