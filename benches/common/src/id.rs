//! The request id every peer uses: 32 hexadecimal digits from a thread-local generator.
//!
//! It is cheap on purpose. A peer's usual UUID from the operating system would cost it one more
//! system call per request, and the benchmark is not about entropy.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
}

/// A fresh id, unique within a thread. Not for anything secret.
#[must_use]
pub fn request_id() -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for half in out.chunks_exact_mut(16) {
        let mut word = next();
        for digit in half {
            *digit = DIGITS[(word & 15) as usize];
            word >>= 4;
        }
    }
    out
}

/// One step of splitmix64.
fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::request_id;

    #[test]
    fn ids_differ_and_are_hexadecimal() {
        let (a, b) = (request_id(), request_id());
        assert_ne!(a, b);
        assert!(a.iter().all(u8::is_ascii_hexdigit));
    }
}
