//! Proves before any measurement that a variant answers what it should, and that its stages are
//! there when on and absent when off: request id, access log, timeout, body limit.

use std::time::{Duration, Instant};

use super::Sample;
use crate::Outcome;
use crate::build::Flavour;
use crate::client::Client;
use crate::endpoint::{Endpoint, get, post};
use crate::peer::Variant;
use crate::server::{Server, Start};

/// A whole second, because the published `tideway` takes nothing finer.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn run(variants: &[Variant]) -> Outcome<Vec<Sample>> {
    for &variant in variants {
        check(variant).map_err(|wrong| format!("{}: {wrong}", variant.label()))?;
        eprintln!("check: {} is what it says", variant.label());
    }
    Ok(Vec::new())
}

fn check(variant: Variant) -> Outcome<()> {
    let flavour = Flavour::Counted;
    let start = Start {
        variant,
        flavour,
        under: &[],
        timeout: Some(TIMEOUT),
    };
    let mut server = start.start()?;
    let mut client = Client::connect(server.at, TIMEOUT * 3)?;
    for endpoint in Endpoint::ALL {
        client.exchange(endpoint, 16)?;
    }
    let on = variant.all_stages;
    let answers_id = on && variant.peer.answers_id;
    expect(has_request_id(&mut client)?, answers_id, "request id")?;
    expect(logs(&server, &mut client)?, on, "access log")?;
    expect(limits(&mut client)?, on, "body limit")?;
    let mut client = Client::connect(server.at, TIMEOUT * 3)?;
    expect(times_out(&mut client)?, on, "timeout")?;
    server.stop();
    Ok(())
}

fn expect(found: bool, wanted: bool, what: &str) -> Outcome<()> {
    if found == wanted {
        return Ok(());
    }
    let state = if wanted { "present" } else { "absent" };
    Err(format!("{what} should be {state}"))
}

fn has_request_id(client: &mut Client) -> Outcome<bool> {
    client.send(&get("/plaintext"))?;
    let head = client.answer()?.head.to_ascii_lowercase();
    Ok(head.contains("\r\nx-request-id: "))
}

/// One record per request, or two (the published `tideway` logs both ends), is an access log.
fn logs(server: &Server, client: &mut Client) -> Outcome<bool> {
    let before = server.counts()?[2];
    client.exchange(Endpoint::Json, 10)?;
    let records = server.counts()?[2] - before;
    match records {
        0.0 => Ok(false),
        // An answer may arrive a moment before its record is written.
        9.0..=21.0 => Ok(true),
        n => Err(format!("{n} log records for 10 requests")),
    }
}

fn limits(client: &mut Client) -> Outcome<bool> {
    let mut body = Endpoint::Echo.body();
    let filler = vec![b' '; 70 * 1024];
    body.extend_from_slice(&filler);
    client.send(&post("/json-echo", &body))?;
    Ok(client.answer()?.status == 413)
}

fn times_out(client: &mut Client) -> Outcome<bool> {
    let started = Instant::now();
    client.send(&get("/slow"))?;
    match client.answer() {
        Ok(answer) if answer.status == 200 => Err("/slow answered 200".to_owned()),
        Ok(_) => Ok(started.elapsed() < TIMEOUT * 2),
        Err(_) => Ok(false),
    }
}
