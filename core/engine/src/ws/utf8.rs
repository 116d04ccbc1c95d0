//! Text that arrives in pieces (RFC 6455 §8.1): each is validated once, as it comes, and what cannot
//! become UTF-8 any more is refused at once.

/// Text so far, and the bytes of a character that is not complete.
#[derive(Debug, Default)]
pub(super) struct Text {
    valid: String,
    /// Up to three bytes of the next character.
    begun: [u8; 4],
    len: u8,
}

/// The bytes are no UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Text {
    pub(super) fn len(&self) -> usize {
        self.valid.len() + usize::from(self.len)
    }

    /// Makes room for `bytes` in all.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.valid.len());
        self.valid.reserve_exact(more);
    }

    pub(super) fn capacity(&self) -> usize {
        self.valid.capacity()
    }

    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 && !piece.is_empty() {
            self.begun[usize::from(self.len)] = piece[0];
            self.len += 1;
            piece = &piece[1..];
            match std::str::from_utf8(&self.begun[..usize::from(self.len)]) {
                Ok(character) => {
                    self.valid.push_str(character);
                    self.len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        let (whole, begun) = piece.split_at(piece.len() - unfinished(piece));
        self.valid
            .push_str(std::str::from_utf8(whole).map_err(|_| Invalid)?);
        if !begun.is_empty() {
            match std::str::from_utf8(begun) {
                Err(error) if error.error_len().is_none() => {}
                _ => return Err(Invalid),
            }
            self.begun[..begun.len()].copy_from_slice(begun);
            self.len = begun.len() as u8;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<String, Invalid> {
        if self.len > 0 {
            return Err(Invalid);
        }
        Ok(self.valid)
    }
}

/// How many of the last bytes begin a character that is not complete. What is wrong in another way
/// is left to the validation.
fn unfinished(piece: &[u8]) -> usize {
    for (back, byte) in piece.iter().rev().take(3).enumerate() {
        let size = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if size > back + 1 { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes piece by piece; how many bytes were taken before it was refused.
    fn pushed(bytes: &[u8], cuts: &[usize]) -> Result<String, usize> {
        let (mut text, mut at) = (Text::default(), 0_usize);
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let piece = &bytes[at..bytes.len().min(at.saturating_add(cut))];
            at += piece.len();
            text.push(piece).map_err(|_| at)?;
        }
        assert_eq!(text.len(), bytes.len());
        text.finish().map_err(|_| at)
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let nearly = (".{0,12}", any::<Option<(usize, u8)>>()).prop_map(|(text, flip)| {
            let mut bytes = text.into_bytes();
            if let (Some((at, byte)), false) = (flip, bytes.is_empty()) {
                let len = bytes.len();
                bytes[at % len] = byte;
            }
            bytes
        });
        prop_oneof![nearly, proptest::collection::vec(any::<u8>(), 0..8)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pieces_say_what_the_whole_says(bytes in bytes(), cuts in proptest::collection::vec(0..5_usize, 0..12)) {
            let whole = String::from_utf8(bytes.clone()).map_err(|_| ());
            prop_assert_eq!(pushed(&bytes, &cuts).map_err(|_| ()), whole);
        }

        #[test]
        fn it_is_refused_at_the_first_byte_that_cannot_be_right(bytes in bytes()) {
            let ones = vec![1; bytes.len()];
            let wrong = match std::str::from_utf8(&bytes) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // The error begins at `valid_up_to`; the byte that shows it is the last of `error_len`, or the
            // one after (what `error_len` counts could still have been continued), or the end.
            let at = pushed(&bytes, &ones).unwrap_err();
            let from = wrong.valid_up_to();
            let first_wrong = (from + 1..=bytes.len())
                .find(|&to| std::str::from_utf8(&bytes[from..to]).is_err_and(|e| e.error_len().is_some()))
                .unwrap_or(bytes.len());
            prop_assert_eq!(at, first_wrong);
        }
    }
}
