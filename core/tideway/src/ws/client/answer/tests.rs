//! Answers whole, cut, wrong and too large.

use proptest::prelude::*;

use super::*;

/// What an answer was read as, fed in these pieces and then ended.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut answer = Answer::default();
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        match answer.handle_rx(piece) {
            Read::Partly => {}
            Read::Switched(headers, rest) => {
                let behind = [rest, pieces.collect::<Vec<_>>().concat()].concat();
                return format!("101, {} headers, {behind:?}", headers.len());
            }
            Read::Refused(answer) => return refusal(&answer),
            Read::Bad(why) => return why.into(),
        }
    }
    match answer.handle_end() {
        Some(answer) => format!("at the end {}", refusal(&answer)),
        None => "ended".into(),
    }
}

fn refusal(answer: &Response<Bytes>) -> String {
    let body = String::from_utf8_lossy(answer.body());
    format!("{} {body:?}", answer.status().as_u16())
}

const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nx: y\r\n\r\n";

#[test]
fn answers_are_told_apart() {
    for (bytes, seen) in [
        (GOOD, "101, 2 headers, []"),
        (&format!("{GOOD}\x01\x02"), "101, 2 headers, [1, 2]"),
        (&GOOD.replace("\r\n", "\n"), "101, 2 headers, []"),
        ("HTTP/1.1 101\r\n\r\n", "101, 0 headers, []"),
        (
            &format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{GOOD}"
            ),
            "101, 2 headers, []",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nnever mind",
            "403 \"never\"",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 \"\""),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 50\r\n\r\nnev",
            "at the end 500 \"nev\"",
        ),
        (
            "HTTP/1.1 500 Oh\r\n\r\nuntil the end",
            "at the end 500 \"until the end\"",
        ),
        (
            "HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnev\r\n02;x=y\r\ner\r\n0\r\n\r\n",
            "400 \"never\"",
        ),
        (
            "HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnevzz",
            "400 \"nev\"",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "the length of its body is malformed",
        ),
        ("HTTP/1.1 101 Switching\r\n", "ended"),
        (
            "HTTP/1.0 101 x\r\n\r\n",
            "it does not begin as one of HTTP/1.1",
        ),
        (
            "SSH-2.0-OpenSSH\r\n",
            "it does not begin as one of HTTP/1.1",
        ),
        ("HTTP/1.1 x01\r\n\r\n", "its head is malformed"),
        (
            "HTTP/1.1 101 x\r\nno colon\r\n\r\n",
            "its head is malformed",
        ),
        ("HTTP/1.1 099 x\r\n\r\n", "its status is none"),
        ("", "ended"),
    ] {
        assert_eq!(read([bytes.as_bytes()]), seen, "{bytes:?}");
    }
}

#[test]
fn heads_and_bodies_have_caps() {
    let with = |count: usize, len: usize| {
        let lines = format!("x: {}\r\n", "y".repeat(len)).repeat(count);
        format!("HTTP/1.1 101 x\r\n{lines}\r\n")
    };
    assert!(read([with(100, 1).as_bytes()]).starts_with("101, "));
    assert_eq!(read([with(101, 1).as_bytes()]), "it has over 100 headers");
    // The largest one, and one byte more.
    let around = with(1, 0).len();
    assert_eq!(
        read([with(1, MAX_HEAD - around).as_bytes()]),
        "101, 1 headers, []"
    );
    let over = "its head is over 16 KiB";
    assert_eq!(read([with(1, MAX_HEAD - around + 1).as_bytes()]), over);
    // One without an end, also if it is made of interim answers.
    assert_eq!(read(std::iter::repeat_n(&b"HTTP/1.1 "[..], 5000)), over);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    assert_eq!(read([interim.as_bytes()]), over);
    let body = "z".repeat(10_000);
    for framing in ["content-length: 10000\r\n", ""] {
        let refused = format!("HTTP/1.1 500 x\r\n{framing}\r\n{body}");
        let kept = format!("500 {:?}", "z".repeat(MAX_BODY));
        assert_eq!(read([refused.as_bytes()]), kept);
    }
    let chunks = "1\r\nz\r\n".repeat(2000);
    let refused = format!("HTTP/1.1 500 x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
    let kept = read([refused.as_bytes()]);
    assert!(kept.len() > MAX_RAW / 6 && kept.len() < MAX_RAW, "{kept}");
}

/// Mostly answers, with mistakes.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => Just("HTTP/1.1 ".to_owned()),
        4 => prop_oneof![Just("101 x"), Just("100 x"), Just("403 No"), Just("200 OK")].prop_map(Into::into),
        8 => Just("\r\n".to_owned()),
        2 => Just("\n".to_owned()),
        3 => Just("content-length: 7\r\n".to_owned()),
        3 => Just("transfer-encoding: chunked\r\n".to_owned()),
        3 => Just("2\r\nab\r\n".to_owned()),
        1 => Just("0\r\n\r\n".to_owned()),
        1 => "x: [a-z]{0,2000}\r\n",
        2 => "[ -~]{0,8}",
        1 => "\\PC{0,3}",
    ];
    let free = prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat().into_bytes());
    let whole = (
        prop_oneof![Just(""), Just("HTTP/1.1 100 x\r\n\r\n")],
        prop_oneof![Just("101 x"), Just("403 No")],
        prop_oneof![
            Just(""),
            Just("content-length: 7\r\n"),
            Just("transfer-encoding: chunked\r\n")
        ],
        "[ -~]{0,12}|(2\r\nab\r\n){0,800}(0\r\n)?|z{0,5000}",
    )
        .prop_map(|(interim, status, framing, body)| {
            format!("{interim}HTTP/1.1 {status}\r\n{framing}\r\n{body}").into_bytes()
        });
    prop_oneof![free, whole]
}

proptest! {
    #[test]
    fn however_it_is_cut_it_reads_the_same(
        bytes in answers(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = read([&*bytes]);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        prop_assert_eq!(&read(pieces), &whole);
    }
}
