//! Masked frames in, the same ones unmasked out, in place.

/// The frames at the start of `bytes` as a server sends them, and what is left: the beginning of one more.
pub(crate) fn replies(mut bytes: &mut [u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut replies = Vec::new();
    while let Some((size, len)) = head(bytes)
        && bytes.len() >= size + len
    {
        let (frame, rest) = bytes.split_at_mut(size + len);
        bytes = rest;
        let (head, payload) = frame.split_at_mut(size);
        let key = [head[size - 4], head[size - 3], head[size - 2], head[size - 1]];
        mask(payload, key);
        // Ours has no key: its head lies four bytes further on.
        head.copy_within(..size - 4, 4);
        head[5] &= 0x7f;
        replies.push(&frame[4..]);
    }
    (replies, bytes)
}

/// The sizes of the first frame's head and payload, if its head is here.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let &[_, second, ref rest @ ..] = bytes else {
        return None;
    };
    Some(match second & 0x7f {
        126 => (8, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (14, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        len => (6, usize::from(len)),
    })
    .filter(|(size, _)| bytes.len() >= *size)
}

fn mask(data: &mut [u8], key: [u8; 4]) {
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
    for (byte, key) in rest.iter_mut().zip(wide) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_without_its_mask() {
        let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x81\x85";
        let (replies, rest) = replies(&mut bytes);
        assert_eq!(replies, [b"\x81\x05Hello"]);
        assert_eq!(rest, b"\x81\x85");
    }
}
