//! The `Date` line of a head, made once a second. It reads no clock.

use std::cell::Cell;

use tideway::Wall;
use tideway_engine::http_date;

/// The length of a line in bytes.
pub(crate) const LINE: usize = 37;

thread_local! {
    static LAST: Cell<(i64, [u8; LINE])> = const { Cell::new((i64::MIN, [0; LINE])) };
}

/// `date: Sun, 06 Nov 1994 08:49:37 GMT` and the end of the line (RFC 9110 §6.6.1).
pub(crate) fn line(wall: Wall) -> [u8; LINE] {
    let second = wall.0.div_euclid(1000);
    let (at, line) = LAST.get();
    if at == second {
        return line;
    }
    let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    line[6..LINE - 2].copy_from_slice(&http_date(wall));
    LAST.set((second, line));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_its_second() {
        let epoch = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let next = *b"date: Thu, 01 Jan 1970 00:00:01 GMT\r\n";
        for (wall, wanted) in [(0, epoch), (999, epoch), (1000, next), (0, epoch)] {
            assert_eq!(line(Wall(wall)), wanted);
        }
    }
}
