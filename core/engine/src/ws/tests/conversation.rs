//! A client and a server that talk over a wire in virtual time.

use super::*;
use crate::ws::{CloseCode, CloseFrame, Encoded};

/// Carries what both have to say until neither has any.
fn carry(a: &mut Driven, b: &mut Driven) {
    loop {
        for side in [&mut *a, &mut *b] {
            side.flush();
        }
        if a.sent.is_empty() && b.sent.is_empty() {
            return;
        }
        let (to_b, to_a) = (std::mem::take(&mut a.sent), std::mem::take(&mut b.sent));
        b.receive(&to_b);
        a.receive(&to_a);
    }
}

#[test]
fn they_talk_and_part() {
    let mut client = Driven::still(Role::Client);
    let mut server = Driven::still(Role::Server);
    let hello = Encoded::text("hello");
    client.conn.send(hello.clone(), &mut client.codecs).unwrap();
    client.conn.ping(b"there?").unwrap();
    server.conn.send(hello, &mut server.codecs).unwrap();
    let large = Encoded::binary(&[9; 70_000]);
    server.conn.send(large, &mut server.codecs).unwrap();
    carry(&mut client, &mut server);
    assert_eq!(
        server.said,
        [Said::Ping(b"there?".to_vec()), text("hello")],
        "control goes first"
    );
    let pong = Said::Pong(b"there?".to_vec());
    assert_eq!(client.said, [text("hello"), binary(&[9; 70_000]), pong]);
    client
        .conn
        .close(client.now, CloseCode::NORMAL, "done")
        .unwrap();
    carry(&mut client, &mut server);
    let bye = CloseFrame {
        code: Some(CloseCode::NORMAL),
        reason: "done".into(),
    };
    assert_eq!(server.ends(), [&End::Peer(bye)]);
    let answered = CloseFrame {
        code: Some(CloseCode::NORMAL),
        reason: "".into(),
    };
    assert_eq!(client.ends(), [&End::Answered(answered)]);
    // The server ends the stream, then the client does.
    assert!(server.conn.has_sent_all() && !client.conn.has_sent_all());
    client.eof();
    server.eof();
    assert!(client.conn.is_done() && server.conn.is_done());
}

#[test]
fn each_client_frame_has_a_mask_of_its_own() {
    let mut client = Driven::still(Role::Client);
    for _ in 0..100 {
        let message = Encoded::binary(&[0; 4]);
        client.conn.send(message, &mut client.codecs).unwrap();
    }
    client.flush();
    // Zeros, masked, show the key.
    let mut keys: Vec<&[u8]> = client.sent.chunks(10).map(|frame| &frame[6..]).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 100);
}

#[test]
fn heartbeats_keep_both_alive() {
    let mut client = Driven::new(Role::Client, Config::default(), None);
    let mut server = Driven::new(Role::Server, Config::default(), None);
    for _ in 0..600 {
        client.pass(secs(1));
        server.pass(secs(1));
        carry(&mut client, &mut server);
    }
    assert!(client.conn.is_open() && server.conn.is_open());
    let pings = server
        .said
        .iter()
        .filter(|said| matches!(said, Said::Ping(_)));
    assert!((10..40).contains(&pings.count()), "{:?}", server.said);
}
