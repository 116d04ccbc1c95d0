//! Offers and answers, as RFC 7692 §7.1 has them.

use super::*;

fn accept(offers: &str) -> Option<String> {
    let accepted = Deflate::accept(offers, &DeflateConfig::default()).expect("well formed");
    accepted.map(|(_, answer)| answer)
}

const TAKEOVER: DeflateConfig = DeflateConfig {
    takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const NONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn the_answer_always_names_both_takeovers() {
    assert_eq!(accept("permessage-deflate").as_deref(), Some(NONE));
    // A browser's.
    let chrome = "permessage-deflate; client_max_window_bits";
    assert_eq!(accept(chrome).as_deref(), Some(NONE));
}

#[test]
fn takeover_is_kept_only_where_both_want_it() {
    let accept = |offer| Deflate::accept(offer, &TAKEOVER).unwrap().unwrap();
    let (agreed, answer) = accept("permessage-deflate");
    assert!(agreed.server_takeover && agreed.client_takeover);
    assert_eq!(answer, "permessage-deflate");
    let (agreed, answer) = accept("permessage-deflate; server_no_context_takeover");
    assert!(!agreed.server_takeover && agreed.client_takeover);
    assert_eq!(answer, "permessage-deflate; server_no_context_takeover");
    let (agreed, answer) = accept("permessage-deflate; client_no_context_takeover");
    assert!(agreed.server_takeover && !agreed.client_takeover);
    assert_eq!(answer, "permessage-deflate; client_no_context_takeover");
}

#[test]
fn the_servers_window_is_no_larger_than_asked() {
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let answer = format!("{NONE}; server_max_window_bits={bits}");
        assert_eq!(accept(&offer), Some(answer));
    }
    let small = DeflateConfig {
        server_max_window_bits: 10,
        ..DeflateConfig::default()
    };
    let (agreed, answer) = Deflate::accept("permessage-deflate", &small)
        .unwrap()
        .unwrap();
    assert_eq!(agreed.server_max_window_bits, 10);
    assert_eq!(answer, format!("{NONE}; server_max_window_bits=10"));
}

#[test]
fn the_clients_window_is_limited_only_if_it_offers_that() {
    let small = DeflateConfig {
        client_max_window_bits: 11,
        ..DeflateConfig::default()
    };
    let accept = |offer| Deflate::accept(offer, &small).unwrap().unwrap();
    let (agreed, answer) = accept("permessage-deflate");
    assert_eq!((agreed.client_max_window_bits, &*answer), (15, NONE));
    let (agreed, answer) = accept("permessage-deflate; client_max_window_bits");
    assert_eq!(agreed.client_max_window_bits, 11);
    assert_eq!(answer, format!("{NONE}; client_max_window_bits=11"));
    let (agreed, answer) = accept("permessage-deflate; client_max_window_bits=10");
    assert_eq!(agreed.client_max_window_bits, 10);
    assert_eq!(answer, format!("{NONE}; client_max_window_bits=10"));
    let (_, answer) = accept("permessage-deflate; client_max_window_bits=8");
    assert_eq!(answer, NONE, "8 needs no limit, and 9 would be above it");
}

#[test]
fn eight_bits_are_declined_and_the_next_offer_is_tried() {
    let eight = "permessage-deflate; server_max_window_bits=8";
    assert_eq!(accept(eight), None);
    let both = format!("{eight}, permessage-deflate; server_max_window_bits=\"12\"");
    let answer = format!("{NONE}; server_max_window_bits=12");
    assert_eq!(accept(&both), Some(answer));
}

#[test]
fn an_offer_with_a_wrong_parameter_is_declined() {
    for wrong in [
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=09",
        "server_max_window_bits=1e1",
        "client_max_window_bits=16",
        "client_max_window_bits=",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "unknown",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=9",
    ] {
        let offer = format!("permessage-deflate; {wrong}");
        let accepted = Deflate::accept(&offer, &DeflateConfig::default());
        assert!(
            matches!(accepted, Ok(None) | Err(Malformed)),
            "{offer}: {accepted:?}"
        );
    }
    assert_eq!(
        accept("x-webkit-deflate-frame, bbf-usp-protocol; a=b"),
        None
    );
    assert_eq!(accept(""), None);
}

#[test]
fn a_client_offers_what_it_was_told_to() {
    let offer = Deflate::offer(&DeflateConfig::default());
    assert_eq!(offer, format!("{NONE}; client_max_window_bits"));
    let small = DeflateConfig {
        takeover: true,
        server_max_window_bits: 9,
        client_max_window_bits: 12,
    };
    let offer = Deflate::offer(&small);
    assert_eq!(
        offer,
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12"
    );
}

#[test]
fn a_client_refuses_answers_it_did_not_offer() {
    let agreed = |answer| Deflate::agreed(answer, &DeflateConfig::default());
    assert_eq!(agreed(""), Ok(None));
    let kept = agreed(NONE).unwrap().unwrap();
    assert!(!kept.server_takeover && !kept.client_takeover);
    let kept = agreed("permessage-deflate; server_no_context_takeover; server_max_window_bits=8");
    assert_eq!(kept.unwrap().unwrap().server_max_window_bits, 8);
    let kept = agreed("permessage-deflate; server_no_context_takeover; client_max_window_bits=9");
    let kept = kept.unwrap().unwrap();
    assert_eq!(
        (kept.client_max_window_bits, kept.client_takeover),
        (9, false)
    );
    for wrong in [
        "permessage-deflate",
        "x",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; x",
        "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
    ] {
        assert_eq!(agreed(wrong), Err(Malformed), "{wrong}");
    }
    let small = DeflateConfig {
        server_max_window_bits: 10,
        ..TAKEOVER
    };
    let agreed = |answer| Deflate::agreed(answer, &small);
    assert_eq!(agreed("permessage-deflate"), Err(Malformed));
    assert_eq!(
        agreed("permessage-deflate; server_max_window_bits=11"),
        Err(Malformed)
    );
    assert!(agreed("permessage-deflate; server_max_window_bits=10").is_ok());
}

#[test]
fn both_sides_agree_on_the_same() {
    for takeover in [false, true] {
        for server in 9..=15 {
            for client in 9..=15 {
                let config = DeflateConfig {
                    takeover,
                    server_max_window_bits: server,
                    client_max_window_bits: client,
                };
                for other in [DeflateConfig::default(), TAKEOVER, config] {
                    let offer = Deflate::offer(&config);
                    let (ours, answer) = Deflate::accept(&offer, &other).unwrap().unwrap();
                    let theirs = Deflate::agreed(&answer, &config);
                    assert_eq!(theirs, Ok(Some(ours)), "{offer} / {answer}");
                }
            }
        }
    }
}
