//! The wire cases of the public Autobahn test list, by their numbers, for both roles: each whole, byte by byte
//! and in pieces. An echo answers, as the list wants it.

use super::*;
use crate::ws::{CloseCode, CloseFrame, Encoded, Violation};

/// What came back: the echoes and answers as (opcode, payload), and the code of the Close.
#[derive(Debug, PartialEq)]
struct Result {
    answers: Vec<(u8, Vec<u8>)>,
    end: Option<End>,
    close: Option<Vec<u8>>,
}

type Frames<'a> = &'a [(u8, &'a [u8])];

fn run_in(role: Role, config: Config, stream: &[u8], piece: usize) -> Result {
    let mut driven = Driven::new(role, config, None);
    for piece in stream.chunks(piece) {
        let before = driven.said.len();
        driven.receive(piece);
        for said in &driven.said[before..] {
            let message = match said {
                Said::Text(text) => Encoded::text(text),
                Said::Binary(data) => Encoded::binary(data),
                _ => continue,
            };
            // A handler that answers late still answers: Close goes last.
            let _ = driven.conn.send(message, &mut driven.codecs);
        }
        driven.flush();
    }
    let mut answers = frames(&driven.sent);
    let close = answers.pop_if(|(first, _)| *first == 0x88);
    assert!(driven.ends().len() <= 1);
    Result {
        answers,
        end: driven.ends().pop().cloned(),
        close: close.map(|(_, payload)| payload),
    }
}

/// Runs the frames in both roles and several pieces, and asserts that all agree.
#[track_caller]
fn run(sent: Frames<'_>) -> Result {
    run_with(still(), sent)
}

#[track_caller]
fn run_with(config: Config, sent: Frames<'_>) -> Result {
    let stream = |key| -> Vec<u8> {
        let frames = sent
            .iter()
            .map(|(first, payload)| frame(*first, payload, key));
        frames.flatten().collect()
    };
    let (server, client) = (stream(Some(KEY)), stream(None));
    let whole = run_in(Role::Server, config.clone(), &server, usize::MAX);
    let pieces: &[usize] = if server.len() < 20_000 {
        &[1, 2, 7, 1000]
    } else {
        &[997, 65_536]
    };
    for &piece in pieces {
        let cut = run_in(Role::Server, config.clone(), &server, piece);
        assert_eq!(cut, whole, "server, {piece}");
        let cut = run_in(Role::Client, config.clone(), &client, piece);
        assert_eq!(cut, whole, "client, {piece}");
    }
    whole
}

#[track_caller]
fn echoes(sent: Frames<'_>, answers: Frames<'_>) {
    let result = run(sent);
    let answers: Vec<_> = answers.iter().map(|(a, b)| (*a, b.to_vec())).collect();
    assert_eq!(result.answers, answers);
    assert_eq!((result.end, result.close), (None, None));
}

/// The connection fails with `violation` after `answers`.
#[track_caller]
fn fails(sent: Frames<'_>, answers: Frames<'_>, violation: Violation) {
    let result = run(sent);
    let answers: Vec<_> = answers.iter().map(|(a, b)| (*a, b.to_vec())).collect();
    assert_eq!(result.answers, answers);
    assert_eq!(result.end, Some(End::Violation(violation)));
    let mut close = violation.code().as_u16().to_be_bytes().to_vec();
    close.extend(violation.to_string().bytes());
    assert_eq!(result.close, Some(close));
}

const SIZES: [usize; 8] = [0, 125, 126, 127, 128, 65_535, 65_536, 65_536];

#[test]
fn case_1_messages_of_all_sizes_are_echoed() {
    for size in SIZES {
        let (star, fe) = (vec![b'*'; size], vec![0xfe; size]);
        echoes(&[(0x81, &star)], &[(0x81, &star)]);
        echoes(&[(0x82, &fe)], &[(0x82, &fe)]);
    }
}

#[test]
fn case_2_pings_and_pongs() {
    let bytes = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    for payload in [&b""[..], b"Hello, world!", &bytes, &[0xfe; 125]] {
        echoes(&[(0x89, payload)], &[(0x8a, payload)]);
    }
    fails(&[(0x89, &[0xfe; 126])], &[], Violation::ControlLength);
    // 2.7 to 2.9: unsolicited pongs say nothing.
    echoes(&[(0x8a, b"")], &[]);
    echoes(&[(0x8a, b"unsolicited pong payload")], &[]);
    echoes(
        &[(0x8a, b"unsolicited"), (0x89, b"ping")],
        &[(0x8a, b"ping")],
    );
    // 2.10, 2.11
    let pings: Vec<Vec<u8>> = (0..10).map(|i| format!("payload-{i}").into()).collect();
    let sent: Vec<_> = pings.iter().map(|ping| (0x89, &ping[..])).collect();
    let answers: Vec<_> = pings.iter().map(|ping| (0x8a, &ping[..])).collect();
    echoes(&sent, &answers);
}

#[test]
fn case_3_reserved_bits() {
    let hello = b"Hello, world!";
    fails(&[(0x90 | 1, hello)], &[], Violation::Reserved);
    for rsv in 1..=7 {
        let first = 0x80 | rsv << 4;
        // 3.2 to 3.4: what came before is still echoed.
        let sent: Frames<'_> = &[(0x81, hello), (first | 1, hello), (0x89, b"")];
        fails(sent, &[(0x81, hello)], Violation::Reserved);
        fails(&[(first | 2, &[0, 0xff])], &[], Violation::Reserved);
        fails(&[(first | 9, hello)], &[], Violation::Reserved);
        fails(&[(first | 8, b"")], &[], Violation::Reserved);
    }
}

#[test]
fn case_4_unknown_opcodes() {
    let hello = b"Hello, world!";
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        fails(&[(0x80 | opcode, b"")], &[], Violation::Opcode);
        fails(&[(0x80 | opcode, hello)], &[], Violation::Opcode);
        let sent: Frames<'_> = &[(0x81, hello), (0x80 | opcode, hello), (0x89, b"")];
        fails(sent, &[(0x81, hello)], Violation::Opcode);
    }
}

#[test]
fn case_5_fragmentation() {
    // 5.1, 5.2: control frames in fragments.
    fails(
        &[(0x09, b"f1"), (0x80, b"f2")],
        &[],
        Violation::ControlFragment,
    );
    fails(
        &[(0x0a, b"f1"), (0x80, b"f2")],
        &[],
        Violation::ControlFragment,
    );
    // 5.3 to 5.8
    echoes(&[(0x01, b"f1"), (0x80, b"f2")], &[(0x81, b"f1f2")]);
    let sent: Frames<'_> = &[(0x01, b"f1"), (0x89, b"ping"), (0x80, b"f2")];
    echoes(sent, &[(0x8a, b"ping"), (0x81, b"f1f2")]);
    // 5.9 to 5.14: a continuation of nothing.
    for first in [0x80, 0x00] {
        let sent: Frames<'_> = &[(first, b"non-continuation"), (0x81, b"Hello, world!")];
        fails(sent, &[], Violation::NothingToContinue);
    }
    // 5.15
    let sent: Frames<'_> = &[(0x01, b"f1"), (0x80, b"f2"), (0x00, b"f3"), (0x81, b"f4")];
    fails(sent, &[(0x81, b"f1f2")], Violation::NothingToContinue);
    // 5.16, 5.17
    let sent: Frames<'_> = &[(0x00, b"f1"), (0x01, b"f2"), (0x80, b"f3")];
    fails(sent, &[], Violation::NothingToContinue);
    // 5.18
    fails(&[(0x01, b"f1"), (0x81, b"f2")], &[], Violation::Unfinished);
    // 5.19, 5.20
    let sent: Frames<'_> = &[
        (0x01, b"f1"),
        (0x00, b"f2"),
        (0x89, b"p1"),
        (0x00, b"f3"),
        (0x00, b"f4"),
        (0x89, b"p2"),
        (0x80, b"f5"),
    ];
    let answers: Frames<'_> = &[(0x8a, b"p1"), (0x8a, b"p2"), (0x81, b"f1f2f3f4f5")];
    echoes(sent, answers);
}

#[test]
fn case_6_utf8() {
    let valid: &[&[u8]] = &[
        b"",
        "Hello-µ@ßöäüàá-UTF-8!!".as_bytes(),
        "κόσμε".as_bytes(),
        // 6.6: boundaries of each length.
        &[0x00],
        &[0x7f],
        &[0xc2, 0x80],
        &[0xdf, 0xbf],
        &[0xe0, 0xa0, 0x80],
        &[0xed, 0x9f, 0xbf],
        &[0xee, 0x80, 0x80],
        &[0xef, 0xbf, 0xbd],
        // 6.22: non-characters are characters.
        &[0xef, 0xbf, 0xbf],
        &[0xf0, 0x90, 0x80, 0x80],
        &[0xf0, 0x9f, 0xbf, 0xbe],
        &[0xf4, 0x8f, 0xbf, 0xbf],
    ];
    for text in valid {
        echoes(&[(0x81, text)], &[(0x81, text)]);
        // 6.2.3, 6.2.4: a character may lie in several fragments.
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            echoes(&[(0x01, a), (0x00, b""), (0x80, b)], &[(0x81, text)]);
        }
    }
    let invalid: &[&[u8]] = &[
        // 6.3, 6.4
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
        // 6.6: incomplete.
        &[0xc2],
        &[0xe1, 0xbd],
        &[0xf0, 0x90, 0x80],
        // 6.8: five and six bytes; 6.11: above U+10FFFF.
        &[0xf8, 0x88, 0x80, 0x80, 0x80],
        &[0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
        &[0xf7, 0xbf, 0xbf, 0xbf],
        // 6.12: a continuation first; 6.13: none; 6.14: too few.
        &[0x80],
        &[0xbf, 0x80],
        &[0xc0, 0x20],
        &[0xe0, 0x80],
        &[0xfe],
        &[0xff],
        // 6.16 to 6.18: overlong; 6.20, 6.21: surrogates.
        &[0xc0, 0xaf],
        &[0xe0, 0x80, 0xaf],
        &[0xf0, 0x80, 0x80, 0xaf],
        &[0xc1, 0xbf],
        &[0xed, 0xa0, 0x80],
        &[0xed, 0xbf, 0xbf],
        &[0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80],
    ];
    for text in invalid {
        fails(&[(0x81, text)], &[], Violation::Utf8);
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            fails(&[(0x01, a), (0x80, b)], &[], Violation::Utf8);
        }
    }
}

#[test]
fn case_6_4_bad_text_fails_before_its_message_ends() {
    let start = "κόσμε".as_bytes();
    for wrong in [&[0xed, 0xa0][..], &[0xf4, 0x90]] {
        // 6.4.1: the first fragment is right, the second is wrong, the third never comes.
        fails(&[(0x01, start), (0x00, wrong)], &[], Violation::Utf8);
        // 6.4.3: within one frame, most of which never comes.
        let mut whole = start.to_vec();
        whole.extend(wrong);
        let here = whole.len();
        whole.extend([b'x'; 500]);
        let frame = masked(0x81, &whole);
        for piece in [1, 2, 1000] {
            let result = run_in(Role::Server, still(), &frame[..frame.len() - 500], piece);
            assert_eq!(result.end, Some(End::Violation(Violation::Utf8)));
            // Not a byte earlier: the last one shows it.
            let early = &frame[..frame.len() - 501];
            assert_eq!(early.len(), 8 + here - 1);
            assert_eq!(run_in(Role::Server, still(), early, piece).end, None);
        }
    }
}

fn closes(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}

#[test]
fn case_7_1_what_follows_a_close_is_not_looked_at() {
    let normal = closes(1000, "");
    let peer = Some(End::Peer(CloseFrame {
        code: Some(CloseCode::NORMAL),
        reason: "".into(),
    }));
    for after in [
        (0x81, &b"late"[..]),
        (0x89, b"late"),
        (0x88, &normal),
        (0xff, b""),
    ] {
        // 7.1.1 to 7.1.5
        let sent: Frames<'_> = &[(0x81, b"first"), (0x88, &normal), after];
        let result = run(sent);
        assert_eq!(result.answers, [(0x81, b"first".to_vec())]);
        assert_eq!(result.end, peer);
        assert_eq!(result.close.as_deref(), Some(&normal[..]));
    }
    // 7.1.4: in the middle of a message.
    let result = run(&[(0x01, b"first"), (0x88, &normal), (0x80, b"second")]);
    assert_eq!((result.answers, result.end), (vec![], peer.clone()));
    // 7.1.6
    let large = vec![b'*'; 256 << 10];
    let result = run(&[(0x81, &large), (0x88, &normal), (0x89, b"")]);
    assert_eq!(result.answers, [(0x81, large)]);
    assert_eq!(result.end, peer);
}

#[test]
fn case_7_3_payloads_of_close() {
    let result = run(&[(0x88, b"")]);
    assert_eq!(result.end, Some(End::Peer(CloseFrame::default())));
    assert_eq!(result.close.as_deref(), Some(&b""[..]));
    fails(&[(0x88, b"x")], &[], Violation::Close);
    for len in [0, 1, 100, 123] {
        let reason = "*".repeat(len);
        let result = run(&[(0x88, &closes(1000, &reason))]);
        let frame = CloseFrame {
            code: Some(CloseCode::NORMAL),
            reason: reason.into(),
        };
        assert_eq!(result.end, Some(End::Peer(frame)));
        assert_eq!(result.close, Some(closes(1000, "")));
    }
    let long = closes(1000, &"*".repeat(124));
    fails(&[(0x88, &long)], &[], Violation::ControlLength);
    // 7.5.1
    let mut wrong = closes(1000, "κόσμε");
    wrong.extend([0xed, 0xa0, 0x80]);
    fails(&[(0x88, &wrong)], &[], Violation::Utf8);
}

#[test]
fn case_7_7_and_7_9_codes() {
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        let result = run(&[(0x88, &closes(code, "why"))]);
        assert_eq!(result.end.map(|end| end.code()), Some(code));
        assert_eq!(result.close, Some(closes(code, "")));
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        fails(&[(0x88, &closes(code, ""))], &[], Violation::Close);
    }
}

#[test]
fn case_9_large_messages_and_many_fragments() {
    let config = Config {
        max_frame: 4 << 20,
        max_message: 4 << 20,
        ..still()
    };
    for size in [64 << 10, 1 << 20, 4 << 20] {
        let data = vec![0xfe; size];
        let result = run_with(config.clone(), &[(0x82, &data)]);
        assert_eq!(result.answers, [(0x82, data.clone())]);
        if size > 1 << 20 {
            continue;
        }
        // 9.3 to 9.6: in fragments of 64 bytes and more.
        for part in [64, 1024, 64 << 10] {
            let mut sent: Vec<(u8, &[u8])> = data.chunks(part).map(|part| (0, part)).collect();
            sent[0].0 |= 2;
            sent.last_mut().unwrap().0 |= 0x80;
            let result = run_with(config.clone(), &sent);
            assert_eq!(result.answers, [(0x82, data.clone())]);
        }
    }
    // 9.7, 9.8: many small messages.
    let sent: Vec<(u8, &[u8])> = vec![(0x81, b"0123456789abcdef"); 1000];
    echoes(&sent, &sent);
}

#[test]
fn case_10_frames_cut_anywhere() {
    let data = vec![b'*'; 65_536];
    let frame = masked(0x82, &data);
    let result = run_in(Role::Server, still(), &frame, 1300);
    assert_eq!(result.answers, [(0x82, data)]);
}
