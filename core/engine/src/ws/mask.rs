//! Masking (RFC 6455 §5.3): the same exclusive-or both ways.

/// Applies `key` to `data`, whose first byte stands at a multiple of four in its frame.
#[inline]
pub(super) fn mask(data: &mut [u8], key: [u8; 4]) {
    // As wide as the vectors of any processor.
    let mut wide = [0; 16];
    for (i, byte) in wide.iter_mut().enumerate() {
        *byte = key[i % 4];
    }
    let rest = blocks::<128>(data, wide);
    let rest = blocks::<16>(rest, wide);
    let word = u32::from_ne_bytes(key);
    let (words, rest) = rest.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Applies `key` to all whole blocks of `N` bytes, a multiple of the key's; the rest.
#[inline]
fn blocks<const N: usize>(data: &mut [u8], key: [u8; 16]) -> &mut [u8] {
    let (blocks, rest) = data.as_chunks_mut::<N>();
    for block in blocks {
        for part in block.as_chunks_mut::<16>().0 {
            for (byte, key) in part.iter_mut().zip(key) {
                *byte ^= key;
            }
        }
    }
    rest
}

/// The key for what follows `len` bytes.
#[inline]
pub(super) fn rotate(mut key: [u8; 4], len: usize) -> [u8; 4] {
    key.rotate_left(len % 4);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_meets_its_own_part_of_the_key(mut data: Vec<u8>, key: [u8; 4], cut: usize) {
            let plain = data.clone();
            let (a, b) = data.split_at_mut(cut % (plain.len() + 1));
            mask(a, key);
            mask(b, rotate(key, a.len()));
            for (i, byte) in plain.iter().enumerate() {
                prop_assert_eq!(data[i], byte ^ key[i % 4]);
            }
        }
    }
}
