//! UUIDs as plain `u128`: laying out version 7 and writing the 36-character form. Never draws
//! randomness itself.

use crate::time::Wall;

/// Version 7 (RFC 9562 §5.7) from its parts: the lower 12 bits of `low`, the upper 62 of `rest`.
pub(crate) fn version_7(wall: Wall, low: u16, rest: u64) -> u128 {
    const LAST: i64 = (1 << 48) - 1;
    let millis = wall.0.clamp(0, LAST) as u128;
    let variant = 0b10_u64 << 62 | rest >> 2;
    millis << 80 | 0x7 << 76 | u128::from(low & 0xfff) << 64 | u128::from(variant)
}

/// A UUID version 7 (RFC 9562 §5.7) from the time and 74 of the bits of `entropy`.
#[must_use]
pub fn uuid_v7(wall: Wall, entropy: u128) -> u128 {
    version_7(wall, entropy as u16, (entropy >> 16) as u64)
}

/// The lower-case `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` form of a UUID (RFC 9562 §4).
///
/// By table look-ups only: it runs once per request for the request id.
///
/// ```
/// let text = tideway_engine::format_uuid(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f);
/// assert_eq!(&text, b"017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
/// ```
#[must_use]
pub fn format_uuid(uuid: u128) -> [u8; 36] {
    /// Where each of the sixteen bytes starts, around the four hyphens.
    const AT: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    for (byte, at) in uuid.to_be_bytes().into_iter().zip(AT) {
        let [high, low] = HEX[byte as usize];
        text[at] = high;
        text[at + 1] = low;
    }
    text
}

/// Both hexadecimal digits of every byte.
static HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Rng, Seed};

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 9562 appendix A.6.
        let uuid = version_7(Wall(0x017f_22e2_79b0), 0xcc3, 0x18c4_dc0c_0c07_398f << 2);
        assert_eq!(uuid, 0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f);
    }

    proptest! {
        #[test]
        fn version_variant_and_time_are_where_they_belong(seed: u64, millis: i64) {
            let uuid = Rng::new(&Seed::from_u64(seed)).uuid_v7(Wall(millis));
            prop_assert_eq!(uuid >> 76 & 0xf, 7);
            prop_assert_eq!(uuid >> 62 & 0b11, 0b10);
            prop_assert_eq!((uuid >> 80) as i64, millis.clamp(0, (1 << 48) - 1));
        }

        #[test]
        fn later_ones_sort_after(seed: u64, a in 0..1_i64 << 48, b in 0..1_i64 << 48) {
            let mut rng = Rng::new(&Seed::from_u64(seed));
            let (first, second) = (rng.uuid_v7(Wall(a)), rng.uuid_v7(Wall(b)));
            if a != b {
                prop_assert_eq!(a < b, first < second);
                prop_assert_eq!(first < second, format_uuid(first) < format_uuid(second));
            }
        }

        #[test]
        fn the_text_is_the_number(uuid: u128) {
            let text = String::from_utf8(format_uuid(uuid).to_vec()).unwrap();
            let hyphens: Vec<_> = text.match_indices('-').map(|(at, _)| at).collect();
            prop_assert_eq!(hyphens, [8, 13, 18, 23]);
            prop_assert_eq!(u128::from_str_radix(&text.replace('-', ""), 16).unwrap(), uuid);
        }
    }
}
