//! Masking (RFC 6455 §5.3): the same exclusive-or both ways.

/// Applies `key` to `data`, whose first byte stands at a multiple of four in its frame.
#[inline]
pub(super) fn mask(data: &mut [u8], key: [u8; 4]) {
    // Wide enough that the compiler uses vectors, whatever the processor.
    let mut wide = [0; 32];
    for (i, byte) in wide.iter_mut().enumerate() {
        *byte = key[i % 4];
    }
    let (blocks, rest) = data.as_chunks_mut::<32>();
    for block in blocks {
        for (byte, key) in block.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    let word = u32::from_ne_bytes(key);
    let (words, rest) = rest.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
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
