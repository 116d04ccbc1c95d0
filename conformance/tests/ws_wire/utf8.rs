//! 6 UTF-8: the sequences of Markus Kuhn's test, in the order of the list, each whole and in fragments of a byte.

use crate::case::*;

const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

pub(crate) fn cases() -> Vec<Case> {
    let some = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    let bad = |middle: &[u8]| [KOSME, middle, b"edited"].concat();
    let (surrogate, beyond) = (bad(b"\xed\xa0\x80"), bad(b"\xf4\x90\x80\x80"));
    let empty = [frame(TEXT_PART, ""), frame(MORE, ""), frame(LAST, "")];
    let middle = [
        frame(TEXT_PART, ""),
        frame(MORE, "middle frame payload"),
        frame(LAST, ""),
    ];
    let mut cases = vec![
        echoes("6.1.1", &[frame(TEXT, "")]),
        answers("6.1.2", &empty, &[frame(TEXT, "")]),
        answers("6.1.3", &middle, &[frame(TEXT, "middle frame payload")]),
        echoes("6.2.1", &[frame(TEXT, some)]),
        answers("6.2.2", &fragments(TEXT, some, 12), &[frame(TEXT, some)]),
        answers("6.2.3", &fragments(TEXT, some, 1), &[frame(TEXT, some)]),
        answers("6.2.4", &fragments(TEXT, KOSME, 1), &[frame(TEXT, KOSME)]),
        fails("6.3.1", &[frame(TEXT, &surrogate)], &[], 1007),
        fails("6.3.2", &fragments(TEXT, &surrogate, 1), &[], 1007),
    ];
    // 6.4: it fails at the fault, not at the end of the message, which never comes.
    for (n, start) in [
        (1, &beyond[..KOSME.len() + 4]),
        (2, &beyond[..KOSME.len() + 2]),
    ] {
        let (a, b) = start.split_at(KOSME.len());
        let sends = [frame(TEXT_PART, a), frame(MORE, b)];
        cases.push(fails(format!("6.4.{n}"), &sends, &[], 1007));
    }
    for (group, sequences) in (5..).zip(sequences()) {
        for (text, n) in sequences.iter().zip(1..) {
            let number = format!("6.{group}.{n}");
            let (whole, bytewise) = ([frame(TEXT, text)], fragments(TEXT, text, 1));
            for sends in [&whole[..], &bytewise] {
                cases.push(match group {
                    5 | 7 | 9 | 22 | 23 => answers(&*number, sends, &whole),
                    // Prefixes that end with a character.
                    6 if [2, 5, 7, 9, 11].contains(&n) => answers(&*number, sends, &whole),
                    // Boundaries, and the first beyond them.
                    10 if n < 5 => answers(&*number, sends, &whole),
                    _ => fails(&*number, sends, &[], 1007),
                });
            }
        }
    }
    cases
}

/// 6.5 to 6.23.
fn sequences() -> Vec<Vec<Vec<u8>>> {
    let of = |all: &[&[u8]]| -> Vec<Vec<u8>> { all.iter().map(|text| text.to_vec()).collect() };
    let long = KOSME;
    let lonely =
        |from: u8, to: u8| -> Vec<u8> { (from..to).flat_map(|byte| [byte, b' ']).collect() };
    let missing: [&[u8]; 10] = [
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
    ];
    let mut continuations: Vec<Vec<u8>> = vec![vec![0x80], vec![0xbf]];
    continuations.extend((2..=6).map(|len| [0x80, 0xbf].into_iter().cycle().take(len).collect()));
    continuations.push((0x80..0xbf).collect());
    let surrogates = [0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff].map(three_bytes);
    let pairs = [0xd800, 0xdb7f, 0xdb80, 0xdbff].map(three_bytes);
    let pairs = pairs
        .iter()
        .flat_map(|high| [0xdc00, 0xdfff].map(|low| [&high[..], &three_bytes(low)[..]].concat()));
    let planes = (0..=16).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    vec![
        of(&[
            b"hello$world",
            b"hello\xc2\xa2world",
            b"hello\xe2\x82\xacworld",
            b"hello\xf0\xa4\xad\xa2world",
            long,
        ]),
        (1..=long.len()).map(|len| long[..len].to_vec()).collect(),
        of(&[b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
        of(&[b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
        of(&[b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
        of(&[
            b"\xed\x9f\xbf",
            b"\xee\x80\x80",
            b"\xef\xbf\xbd",
            b"\xf4\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
        ]),
        of(&[
            b"\xf7\xbf\xbf\xbf",
            b"\xfb\xbf\xbf\xbf\xbf",
            b"\xfd\xbf\xbf\xbf\xbf\xbf",
        ]),
        continuations,
        [
            (0xc0, 0xdf),
            (0xe0, 0xef),
            (0xf0, 0xf7),
            (0xf8, 0xfb),
            (0xfc, 0xfd),
        ]
        .map(|(from, to)| lonely(from, to))
        .into(),
        of(&missing),
        vec![missing.concat()],
        of(&[b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
        of(&[
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xf8\x80\x80\x80\xaf",
            b"\xfc\x80\x80\x80\x80\xaf",
        ]),
        of(&[
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf8\x87\xbf\xbf\xbf",
            b"\xfc\x83\xbf\xbf\xbf\xbf",
        ]),
        of(&[
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xf0\x80\x80\x80",
            b"\xf8\x80\x80\x80\x80",
            b"\xfc\x80\x80\x80\x80\x80",
        ]),
        surrogates.map(Vec::from).into(),
        pairs.collect(),
        planes.map(encoded).collect(),
        (0xfff9..=0xffff).map(encoded).collect(),
    ]
}

/// Also of what is no character.
fn three_bytes(code: u32) -> [u8; 3] {
    let byte = |shift: u32| (code >> shift & 0x3f) as u8 | 0x80;
    [0xe0 | (code >> 12) as u8, byte(6), byte(0)]
}

fn encoded(code: u32) -> Vec<u8> {
    let character = char::from_u32(code).expect("a character, if none that is assigned");
    character.to_string().into_bytes()
}
