//! 7 closing: what follows a Close, what a Close may say.

use crate::case::*;

pub(crate) fn cases() -> Vec<Case> {
    let normal = close(1000, "");
    let hello = frame(TEXT, "Hello World!");
    let large = frame(TEXT, vec![b'*'; 256 << 10]);
    let after = |number, next: Frame| fails(number, &[normal.clone(), next], &[], 1000);
    let mut cases = vec![
        fails(
            "7.1.1",
            &[hello.clone(), normal.clone()],
            std::slice::from_ref(&hello),
            1000,
        ),
        after("7.1.2", normal.clone()),
        after("7.1.3", frame(PING, "")),
        after("7.1.4", hello),
        fails(
            "7.1.5",
            &[
                frame(TEXT_PART, "fragment1"),
                normal.clone(),
                frame(LAST, "fragment2"),
            ],
            &[],
            1000,
        ),
        fails(
            "7.1.6",
            &[large.clone(), normal.clone(), frame(PING, "")],
            &[large],
            1000,
        ),
        ends("7.3.1", &[frame(CLOSE, "")], &[], Ends::Empty),
        fails("7.3.2", &[frame(CLOSE, "a")], &[], 1002),
        fails("7.3.3", std::slice::from_ref(&normal), &[], 1000),
        fails("7.3.4", &[close(1000, "Hello World!")], &[], 1000),
        fails("7.3.5", &[close(1000, [b'*'; 123])], &[], 1000),
        fails("7.3.6", &[close(1000, [b'*'; 124])], &[], 1002),
        fails(
            "7.5.1",
            &[close(1000, b"\xce\xba\xed\xa0\x80edited")],
            &[],
            1007,
        ),
    ];
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    // Those IANA registered since the list was made.
    let valid = valid.into_iter().chain([1012, 1013, 1014]);
    for (code, n) in valid.zip(1..) {
        cases.push(fails(format!("7.7.{n}"), &[close(code, "")], &[], code));
    }
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    for (code, n) in invalid.into_iter().zip(1..) {
        cases.push(fails(format!("7.9.{n}"), &[close(code, "")], &[], 1002));
    }
    for (code, n) in [5000, 65_535].into_iter().zip(1..) {
        cases.push(fails(format!("7.13.{n}"), &[close(code, "")], &[], 1002));
    }
    cases
}
