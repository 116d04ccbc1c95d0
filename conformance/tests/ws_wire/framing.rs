//! 1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation, 9 limits, 10 frames cut anywhere.

use crate::case::*;

const HELLO: &str = "Hello, world!";

pub(crate) fn cases() -> Vec<Case> {
    let groups = [one(), two(), three(), four(), five(), nine(), ten()];
    groups.concat()
}

fn one() -> Vec<Case> {
    let sizes = [0, 125, 126, 127, 128, 65_535, 65_536, 65_536];
    let of = |group: u8, first: u8, byte: u8| {
        let numbered = sizes.iter().zip(1..);
        numbered.map(move |(size, n): (_, u8)| {
            echoes(format!("1.{group}.{n}"), &[frame(first, vec![byte; *size])])
        })
    };
    of(1, TEXT, b'*').chain(of(2, BINARY, 0xfe)).collect()
}

fn two() -> Vec<Case> {
    let bytes = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let pinged =
        |number, payload: &[u8]| answers(number, &[frame(PING, payload)], &[frame(PONG, payload)]);
    let payloads: Vec<String> = (0..10).map(|n| format!("payload-{n}")).collect();
    let all = |first| -> Vec<Frame> { payloads.iter().map(|text| frame(first, text)).collect() };
    vec![
        pinged("2.1", b""),
        pinged("2.2", HELLO.as_bytes()),
        pinged("2.3", &bytes),
        pinged("2.4", &[0xfe; 125]),
        fails("2.5", &[frame(PING, [0xfe; 126])], &[], 1002),
        // 2.6 and 2.11 are 2.4 and 2.10, byte by byte.
        answers("2.7", &[frame(PONG, "")], &[]),
        answers("2.8", &[frame(PONG, "unsolicited pong payload")], &[]),
        answers(
            "2.9",
            &[frame(PONG, "unsolicited"), frame(PING, "ping payload")],
            &[frame(PONG, "ping payload")],
        ),
        answers("2.10", &all(PING), &all(PONG)),
    ]
}

fn three() -> Vec<Case> {
    let between = |number, rsv: u8| {
        let sends = [
            frame(TEXT, HELLO),
            frame(TEXT | rsv << 4, HELLO),
            frame(PING, ""),
        ];
        fails(number, &sends, &sends[..1], 1002)
    };
    let alone = |number, first| fails(number, &[frame(first, HELLO)], &[], 1002);
    vec![
        alone("3.1", TEXT | 1 << 4),
        between("3.2", 2),
        between("3.3", 3),
        between("3.4", 4),
        alone("3.5", BINARY | 5 << 4),
        alone("3.6", PING | 6 << 4),
        alone("3.7", CLOSE | 7 << 4),
    ]
}

fn four() -> Vec<Case> {
    let of = |(group, n, opcode): (u8, u8, u8)| {
        let wrong = frame(0x80 | opcode, if n == 1 { "" } else { HELLO });
        let alone = std::slice::from_ref(&wrong);
        let between = [frame(TEXT, HELLO), wrong.clone(), frame(PING, "")];
        let number = format!("4.{group}.{n}");
        if n < 3 {
            fails(number, alone, &[], 1002)
        } else {
            fails(number, &between, &between[..1], 1002)
        }
    };
    let opcodes = [(1, 3..=7), (2, 11..=15)];
    let all = opcodes
        .into_iter()
        .flat_map(|(group, opcodes)| opcodes.zip(1..).map(move |(opcode, n)| (group, n, opcode)));
    all.map(of).collect()
}

fn five() -> Vec<Case> {
    let (f1, f2) = (frame(TEXT_PART, "fragment1"), frame(LAST, "fragment2"));
    let whole = [frame(TEXT, "fragment1fragment2")];
    let ping = |text| frame(PING, text);
    let pong = |text| frame(PONG, text);
    let mut cases = vec![
        fails("5.1", &[frame(0x09, "f1"), frame(LAST, "f2")], &[], 1002),
        fails("5.2", &[frame(0x0a, "f1"), frame(LAST, "f2")], &[], 1002),
        // 5.4 and 5.5 are 5.3 in pieces, 5.7 and 5.8 are 5.6.
        answers("5.3", &[f1.clone(), f2.clone()], &whole),
        answers(
            "5.6",
            &[f1.clone(), ping("ping"), f2.clone()],
            &[pong("ping"), whole[0].clone()],
        ),
    ];
    // 5.10, 5.11, 5.13 and 5.14 are these in pieces.
    for (number, first) in [("5.9", LAST), ("5.12", MORE)] {
        let sends = [frame(first, "non-continuation payload"), frame(TEXT, HELLO)];
        cases.push(fails(number, &sends, &[], 1002));
    }
    let (f3, f4) = (frame(MORE, "fragment3"), frame(TEXT, "fragment4"));
    cases.push(fails(
        "5.15",
        &[f1.clone(), f2.clone(), f3, f4],
        &whole,
        1002,
    ));
    for (number, first) in [("5.16", MORE), ("5.17", LAST)] {
        let sends = [
            frame(first, "f1"),
            frame(TEXT_PART, "f2"),
            frame(LAST, "f3"),
        ];
        cases.push(fails(number, &sends, &[], 1002));
    }
    let twice = [f1, frame(TEXT, "fragment2")];
    cases.push(fails("5.18", &twice, &[], 1002));
    let sends = [
        frame(TEXT_PART, "1"),
        frame(MORE, "2"),
        ping("pongme 1!"),
        frame(MORE, "3"),
        frame(MORE, "4"),
        ping("pongme 2!"),
        frame(LAST, "5"),
    ];
    let answered = [pong("pongme 1!"), pong("pongme 2!"), frame(TEXT, "12345")];
    // 5.20 is this in pieces.
    cases.push(answers("5.19", &sends, &answered));
    cases
}

/// To a sixteenth of the list's sizes.
fn nine() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, first, byte) in [(0, TEXT, b'*'), (1, BINARY, 0xfe)] {
        for (size, n) in [4 << 10, 16 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20]
            .into_iter()
            .zip(1..)
        {
            let whole = [frame(first, vec![byte; size])];
            cases.push(echoes(format!("9.{}.{n}", 1 + kind), &whole));
        }
        let data = vec![byte; 256 << 10];
        for (size, n) in [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10]
            .into_iter()
            .zip(1..)
        {
            let number = format!("9.{}.{n}", 3 + kind);
            cases.push(answers(
                number,
                &fragments(first, &data, size),
                &[frame(first, &data)],
            ));
        }
        // 9.5 and 9.6 are the largest of 9.1 and 9.2 in pieces.
        for (size, n) in [0, 16, 64, 256, 1024, 4096].into_iter().zip(1..) {
            let many = vec![frame(first, vec![byte; size]); 100];
            cases.push(echoes(format!("9.{}.{n}", 7 + kind), &many));
        }
    }
    cases
}

fn ten() -> Vec<Case> {
    vec![echoes("10.1.1", &[frame(TEXT, vec![b'*'; 65_536])])]
}
