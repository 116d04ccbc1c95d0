//! The handshake, whatever stands in its headers: an answer keeps the rules of RFC 7692 §7, and agreeing to it is
//! never more than was offered.

use tideway_engine::Mono;
use tideway_engine::ws::handshake::{Answer, Http, Request, accept, check};
use tideway_engine::ws::{Deflate, DeflateConfig, Encoded, Role};

use super::driven::{Driven, Said};
use super::small;

const PROTOCOLS: [&str; 3] = ["chat", "chat.v2", "x"];

/// A byte of choices, two of window bits, then lines: a header's value each.
pub fn handshake(data: &[u8]) {
    let Some((&[what, server, client], rest)) = data.split_first_chunk() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    let mut lines = text.split('\n');
    let config = DeflateConfig {
        takeover: what & 1 != 0,
        server_max_window_bits: server,
        client_max_window_bits: client,
    };
    let deflate = (what & 2 != 0).then_some(&config);
    if what & 4 == 0 {
        let request = Request {
            http: [Http::One, Http::Two, Http::Older][usize::from(what >> 4) % 3],
            method: if what & 8 == 0 { "GET" } else { "CONNECT" },
            extensions: lines.next(),
            protocols: lines.next(),
            connection: lines.next().or(Some("Upgrade")),
            upgrade: lines.next().or(Some("websocket")),
            key: lines.next().or(Some("dGhlIHNhbXBsZSBub25jZQ==")),
            version: lines.next().or(Some("13")),
        };
        let Ok(accepted) = accept(&request, &PROTOCOLS, deflate) else {
            return;
        };
        assert_eq!(accepted.accept.is_some(), request.http == Http::One);
        assert_eq!(accepted.deflate.is_some(), accepted.extensions.is_some());
        if let Some(protocol) = accepted.protocol {
            let mut offered = request.protocols.unwrap_or_default().split(',');
            assert!(offered.any(|name| name.trim() == protocol));
        }
        if let (Some(agreed), Some(answer)) = (accepted.deflate, &accepted.extensions) {
            answered(
                &agreed,
                answer,
                request.extensions.unwrap_or_default(),
                &config,
            );
        }
    } else {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let answer = Answer {
            status: 101,
            extensions: lines.next().filter(|line| !line.is_empty()),
            protocol: lines.next().filter(|line| !line.is_empty()),
            connection: lines.next().or(Some("Upgrade")),
            upgrade: lines.next().or(Some("websocket")),
            accept: lines.next().or(Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        };
        let Ok(agreed) = check(&answer, key, &PROTOCOLS, deflate) else {
            return;
        };
        let Some(agreed) = agreed.deflate else {
            return;
        };
        assert!(deflate.is_some(), "an extension that was not offered");
        let (server, client) = (config.server_max_window_bits, config.client_max_window_bits);
        assert!(agreed.server_max_window_bits <= server.clamp(9, 15));
        assert!((9..=client.clamp(9, 15)).contains(&agreed.client_max_window_bits));
        assert!(config.takeover || !agreed.server_takeover && !agreed.client_takeover);
        speaks(&agreed);
    }
}

/// A server's answer to an offer.
fn answered(agreed: &Deflate, answer: &str, offers: &str, config: &DeflateConfig) {
    assert!(config.takeover || !agreed.server_takeover && !agreed.client_takeover);
    assert_eq!(
        answer.contains("server_no_context_takeover"),
        !agreed.server_takeover
    );
    assert_eq!(
        answer.contains("client_no_context_takeover"),
        !agreed.client_takeover
    );
    // "a client-to-server parameter only if offered" (RFC 7692 §7.1.2.2).
    assert!(
        !answer.contains("client_max_window_bits") || offers.contains("client_max_window_bits")
    );
    assert!((9..=15).contains(&agreed.server_max_window_bits));
    assert!((9..=15).contains(&agreed.client_max_window_bits));
    // Whoever offers what we would, with both windows open, can keep any answer.
    let widest = DeflateConfig {
        takeover: agreed.server_takeover || agreed.client_takeover,
        ..DeflateConfig::default()
    };
    let read = Deflate::agreed(answer, &widest).expect("an answer by the rules");
    let read = read.expect("an extension");
    assert_eq!(read.server_max_window_bits, agreed.server_max_window_bits);
    assert!(read.client_max_window_bits >= agreed.client_max_window_bits);
    speaks(agreed);
}

/// Both sides understand each other with what was agreed to.
fn speaks(agreed: &Deflate) {
    let text = "compress me ".repeat(20);
    for (from, to) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        let mut sender = Driven::new(from, small(), Some(*agreed));
        let mut receiver = Driven::new(to, small(), Some(*agreed));
        for _ in 0..2 {
            let message = Encoded::text(&text);
            sender.conn.send(message, &mut sender.codecs).expect("room");
        }
        sender.flush();
        receiver.receive(&sender.sent);
        assert_eq!(receiver.now, Mono::START);
        assert_eq!(
            receiver.said,
            [Said::Text(text.clone()), Said::Text(text.clone())]
        );
    }
}
