//! The handshake of both sides, as RFC 6455 §4 has it.

use super::*;
use crate::rng::Seed;

const REQUEST: Request<'static> = Request {
    http: Http::One,
    method: "GET",
    connection: Some("keep-alive, Upgrade"),
    upgrade: Some("WebSocket"),
    key: Some("dGhlIHNhbXBsZSBub25jZQ=="),
    version: Some("13"),
    protocols: None,
    extensions: None,
};

#[test]
fn the_key_of_the_rfc_has_the_answer_of_the_rfc() {
    let accepted = accept(&REQUEST, &[], None).unwrap();
    assert_eq!(
        accepted.accept.as_deref(),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(accepted.protocol, None);
    assert_eq!(accepted.extensions, None);
}

#[test]
fn what_is_no_handshake_is_refused_with_a_status() {
    let refused = |change: fn(&mut Request<'static>)| {
        let mut request = REQUEST;
        change(&mut request);
        let refused = accept(&request, &["chat"], Some(&DeflateConfig::default())).unwrap_err();
        (refused, refused.status())
    };
    assert_eq!(refused(|r| r.upgrade = None), (Refused::NoUpgrade, 426));
    assert_eq!(
        refused(|r| r.upgrade = Some("h2c")),
        (Refused::NoUpgrade, 426)
    );
    assert_eq!(refused(|r| r.method = "POST"), (Refused::Method, 405));
    assert_eq!(refused(|r| r.http = Http::Older), (Refused::Http, 505));
    assert_eq!(refused(|r| r.http = Http::Two), (Refused::Method, 405));
    assert_eq!(
        refused(|r| r.connection = Some("close")),
        (Refused::Connection, 400)
    );
    assert_eq!(refused(|r| r.version = None), (Refused::Version, 426));
    assert_eq!(refused(|r| r.version = Some("8")), (Refused::Version, 426));
    assert_eq!(refused(|r| r.key = None), (Refused::Key, 400));
    assert_eq!(
        refused(|r| r.key = Some("dGhlIHNhbXBsZSBub25jZQ")),
        (Refused::Key, 400)
    );
    assert_eq!(refused(|r| r.key = Some("AAAA")), (Refused::Key, 400));
    assert_eq!(
        refused(|r| r.key = Some("AAAAAAAAAAAAAAAAAAAAAAAA")),
        (Refused::Key, 400)
    );
    assert_eq!(
        refused(|r| r.protocols = Some("a b")),
        (Refused::Protocols, 400)
    );
    assert_eq!(
        refused(|r| r.protocols = Some("a, b, a")),
        (Refused::Protocols, 400)
    );
    assert_eq!(
        refused(|r| r.extensions = Some("a;;")),
        (Refused::Extensions, 400)
    );
}

#[test]
fn http_2_has_no_key() {
    let request = Request {
        http: Http::Two,
        method: "CONNECT",
        connection: None,
        upgrade: Some("websocket"),
        key: None,
        ..REQUEST
    };
    assert_eq!(accept(&request, &[], None).unwrap().accept, None);
}

#[test]
fn the_clients_first_wish_is_granted() {
    assert_eq!(subprotocol("v2, v1", &["v1", "v2"]), Ok(Some("v2")));
    assert_eq!(subprotocol("v3,v1", &["v1", "v2"]), Ok(Some("v1")));
    assert_eq!(subprotocol("V1", &["v1"]), Ok(None), "names have a case");
    assert_eq!(subprotocol("", &["v1"]), Ok(None));
}

#[test]
fn client_and_server_agree() {
    let mut rng = Rng::new(&Seed::from_u64(1));
    let (key, deflate) = (draw_key(&mut rng), DeflateConfig::default());
    let offer = Deflate::offer(&deflate);
    let request = Request {
        key: Some(&key),
        protocols: Some("b, a"),
        extensions: Some(&offer),
        ..REQUEST
    };
    let accepted = accept(&request, &["a", "b"], Some(&deflate)).unwrap();
    let answer = Answer {
        status: 101,
        connection: Some("upgrade"),
        upgrade: Some("websocket"),
        accept: accepted.accept.as_deref(),
        protocol: accepted.protocol,
        extensions: accepted.extensions.as_deref(),
    };
    let agreed = check(&answer, &key, &["b", "a"], Some(&deflate)).unwrap();
    assert_eq!(agreed.protocol, Some("b"));
    assert_eq!(agreed.deflate, accepted.deflate);
    assert!(agreed.deflate.is_some());
    assert_ne!(key, draw_key(&mut rng));

    let bad = |change: fn(&mut Answer<'_>)| {
        let mut answer = answer;
        change(&mut answer);
        check(&answer, &key, &["b", "a"], Some(&deflate)).unwrap_err()
    };
    assert_eq!(bad(|a| a.status = 200), BadAnswer::Status(200));
    assert_eq!(bad(|a| a.upgrade = None), BadAnswer::Upgrade);
    assert_eq!(bad(|a| a.connection = None), BadAnswer::Connection);
    assert_eq!(
        bad(|a| a.accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        BadAnswer::Accept
    );
    assert_eq!(bad(|a| a.protocol = Some("c")), BadAnswer::Protocol);
    assert_eq!(bad(|a| a.extensions = Some("x")), BadAnswer::Extensions);
    let without = check(&answer, &key, &["b", "a"], None);
    assert_eq!(without, Err(BadAnswer::Extensions));
}
