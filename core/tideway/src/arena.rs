//! Header values without an allocation each: cut from a block that is shared until it is used up,
//! and today's date, made once a second.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use tideway_engine::{Wall, http_date};

/// One block serves about a hundred short values.
const BLOCK: usize = 4096;

thread_local! {
    // A cache without observable effect, so core stays pure: the same calls give the same values.
    static BLOCKS: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    static DATE: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
}

/// A copy of `text`, which must be visible ASCII; an empty value where it is not.
pub(crate) fn header(text: &[u8]) -> HeaderValue {
    let bytes: Bytes = BLOCKS.with_borrow_mut(|block| {
        if block.capacity() < text.len() {
            *block = BytesMut::with_capacity(BLOCK.max(text.len()));
        }
        block.put_slice(text);
        block.split_to(text.len()).freeze()
    });
    HeaderValue::from_maybe_shared(bytes).unwrap_or(HeaderValue::from_static(""))
}

/// A decimal number.
pub(crate) fn number(mut number: u64) -> HeaderValue {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return header(&digits[at..]);
        }
    }
}

/// `Date` (RFC 9110 §6.6.1) at `wall`.
pub(crate) fn date(wall: Wall) -> HeaderValue {
    let second = wall.0.div_euclid(1000);
    DATE.with_borrow_mut(|cached| match cached {
        Some((at, value)) if *at == second => value.clone(),
        _ => {
            let value = header(&http_date(wall));
            *cached = Some((second, value.clone()));
            value
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_exact() {
        for n in [0, 7, 10, 4096, u64::MAX] {
            assert_eq!(number(n), n.to_string());
        }
        assert_eq!(date(Wall(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(Wall(999)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(Wall(1000)), "Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(date(Wall(-1)), "Wed, 31 Dec 1969 23:59:59 GMT");
    }

    #[test]
    fn values_survive_the_block_they_were_cut_from() {
        let values: Vec<_> = (0..1000u64).map(|n| (n, number(n * 1_000_003))).collect();
        for (n, value) in values {
            assert_eq!(value, (n * 1_000_003).to_string());
        }
    }
}
