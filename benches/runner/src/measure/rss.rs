//! Resident bytes per idle connection: ten thousand connections, one request each, then silence.

use std::time::Duration;

use super::Sample;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::options::{Kind, Options};
use crate::peer::Variant;
use crate::server::Start;
use crate::{Outcome, machine};

pub(super) fn run(options: &Options, variants: &[Variant]) -> Outcome<Vec<Sample>> {
    let wanted = options.connections;
    if machine::descriptor_limit() < wanted + 100 {
        let limit = machine::descriptor_limit();
        return Err(format!(
            "{wanted} connections need more than {limit} descriptors: raise `ulimit -n` or give \
             --connections"
        ));
    }
    let mut samples = Vec::new();
    for &variant in variants
        .iter()
        .filter(|variant| !variant.peer.pipelined_only)
    {
        eprintln!("rss: {} with {wanted} idle connections", variant.label());
        let value = measure(variant, wanted).map_err(|e| format!("{}: {e}", variant.label()))?;
        let (what, endpoint) = ("bytes per idle connection", Endpoint::Plaintext);
        samples.push(Sample {
            kind: Kind::Rss,
            what,
            variant,
            endpoint,
            values: vec![value],
        });
    }
    Ok(samples)
}

fn measure(variant: Variant, wanted: usize) -> Outcome<f64> {
    let server = Start::plain(variant).start()?;
    let connect = || {
        let mut client = Client::connect(server.at, Duration::from_secs(5))?;
        client.reset_on_close()?;
        client.exchange(Endpoint::Plaintext, 1)?;
        Ok::<_, String>(client)
    };
    let first = connect()?;
    let before = server.resident()?;
    let idle = (0..wanted)
        .map(|_| connect())
        .collect::<Outcome<Vec<_>>>()?;
    let after = server.resident()?;
    let closed = idle
        .iter()
        .chain([&first])
        .filter(|client| !client.is_open())
        .count();
    if closed > 0 {
        return Err(format!(
            "{closed} of {wanted} idle connections were closed meanwhile"
        ));
    }
    Ok(after.saturating_sub(before) as f64 / wanted as f64)
}
