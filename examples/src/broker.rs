//! `--pubsub`: the broker by which several nodes share their rooms, read from its URL.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::OnceLock;

use tideway_driver::Net;
use tideway_redis::{PubSubOptions, RedisPubSub};

use crate::On;

/// Where the broker is: `redis://:password@host:port`, `redis-cluster://host1:port,host2:port`, or `redis:host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker(String);

impl Broker {
    /// Connects to it, on the network of a runtime.
    ///
    /// # Errors
    ///
    /// What is wrong with the server, for a person.
    pub fn open(&self, on: On) -> io::Result<RedisPubSub> {
        let open = |net| RedisPubSub::open(net, &self.0, PubSubOptions::default());
        let opened = match on {
            On::Tokio => {
                // It lives as long as the program: the connection does.
                static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
                let made = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()?;
                let runtime = RUNTIME.get_or_init(|| made);
                let tokio = tideway_tokio::Tokio::new(runtime.handle().clone());
                runtime.block_on(open(Net::of(tokio)))
            }
            On::AsyncStd => {
                let net = Net::of(tideway_async_std::AsyncStd::default());
                async_std::task::block_on(open(net))
            }
            On::Smol => smol::block_on(open(Net::of(tideway_smol::Smol::default()))),
        };
        opened.map_err(|error| io::Error::other(format!("{self:?}: {error}")))
    }
}

impl FromStr for Broker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let there = |url: &str| {
            let rest = url.split_once("://").map(|(_, rest)| rest);
            rest.is_some_and(|rest| !rest.is_empty())
        };
        let url = match text.strip_prefix("redis:") {
            // `redis:` and a whole URL.
            Some(url) if url.starts_with("redis") => url.to_owned(),
            Some(host) if !host.starts_with("//") && !host.is_empty() => format!("redis://{host}"),
            _ => text.to_owned(),
        };
        let known = url.starts_with("redis://") || url.starts_with("redis-cluster://");
        if known && there(&url) {
            return Ok(Self(url));
        }
        Err("no broker of this program: write redis://HOST:PORT or redis-cluster://HOST:PORT,HOST:PORT".to_owned())
    }
}

/// Without the password, since it is shown and logged.
impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("//").unwrap_or(("", &self.0));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        write!(f, "{scheme}//{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_read_from_its_url_and_shown_without_its_password() {
        let shown = |text: &str| text.parse::<Broker>().map(|broker| format!("{broker:?}"));
        for (text, url) in [
            ("redis://:secret@host:1", "redis://host:1"),
            ("redis:host:1", "redis://host:1"),
            ("redis:redis://host:1", "redis://host:1"),
            ("redis-cluster://a:1,b:2", "redis-cluster://a:1,b:2"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(url));
        }
        for bad in ["", "redis:", "redis://", "nats://host", "redis"] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
