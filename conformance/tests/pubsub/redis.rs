//! The broker on Redis as the suite opens it: behind a proxy of the case's own, which can cut it off.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tideway::BoxFuture;
use tideway::pubsub::{Channel, Limits};
use tideway_conformance::proxy::{Faults, Proxy};
use tideway_conformance::pubsub::{Harness, OpenError};
use tideway_conformance::servers;
use tideway_driver::Net;
use tideway_redis::{PubSubOptions, RedisPubSub};

fn options() -> PubSubOptions {
    let limits = Limits::default().messages(256).bytes(2 << 20);
    PubSubOptions::default().limits(limits).max_payload(2 << 20)
}

/// A proxy before the server on the port `to`.
pub(crate) fn proxy(to: u16) -> Proxy {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, to));
    // It has a runtime of its own, which cannot begin inside another.
    let start = std::thread::spawn(move || Proxy::start(server, 11));
    start.join().expect("no panic").expect("a proxy")
}

/// Through a proxy to the one server of this process's tests.
pub(crate) struct OnRedis {
    proxy: Proxy,
    net: Net,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnRedis {
    pub(crate) fn new(net: Net, block_on: fn(BoxFuture<'_, ()>)) -> Self {
        let server = servers::redis().expect("a Redis server");
        let proxy = proxy(server.port());
        Self {
            proxy,
            net,
            block_on,
        }
    }

    /// Over a link that delays every chunk and passes some on in pieces.
    pub(crate) fn on_a_bad_link(self) -> Self {
        self.proxy.set(Faults {
            delay: Some(Duration::ZERO..Duration::from_millis(1)),
            chop: 0.1,
            ..Faults::default()
        });
        self
    }
}

impl Harness for OnRedis {
    type PubSub = RedisPubSub;

    async fn open(&self) -> Result<RedisPubSub, OpenError> {
        let url = format!("redis://127.0.0.1:{}", self.proxy.addr().port());
        Ok(RedisPubSub::open(self.net.clone(), &url, options()).await?)
    }

    fn limits(&self) -> Limits {
        options().limits
    }

    async fn subscribers(&self, channel: &Channel) -> Option<usize> {
        let url = servers::redis().ok()?.url();
        let mut server = ::redis::Client::open(url).ok()?.get_connection().ok()?;
        let mut ask = ::redis::cmd("PUBSUB");
        ask.arg("NUMSUB").arg(&**channel);
        let (_, count): (String, usize) = ask.query(&mut server).ok()?;
        Some(count)
    }

    async fn cut(&self) -> bool {
        self.proxy.refuse(true);
        self.proxy.cut();
        true
    }

    async fn heal(&self) {
        self.proxy.refuse(false);
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}

/// The URL of the cluster whose nodes have these ports.
pub(crate) fn cluster(ports: &[u16]) -> String {
    let nodes = ports.iter().map(|port| format!("127.0.0.1:{port}"));
    let nodes: Vec<String> = nodes.collect();
    format!("redis-cluster://{}", nodes.join(","))
}

/// Each handle on another node of a cluster.
pub(crate) struct OnCluster {
    next: AtomicUsize,
    net: Net,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnCluster {
    pub(crate) fn new(net: Net, block_on: fn(BoxFuture<'_, ()>)) -> Self {
        let next = AtomicUsize::new(0);
        Self {
            next,
            net,
            block_on,
        }
    }
}

impl Harness for OnCluster {
    type PubSub = RedisPubSub;

    async fn open(&self) -> Result<RedisPubSub, OpenError> {
        let mut ports = servers::redis_cluster()?.ports();
        let first = self.next.fetch_add(1, Ordering::Relaxed) % ports.len();
        ports.rotate_left(first);
        let url = cluster(&ports);
        Ok(RedisPubSub::open(self.net.clone(), &url, options()).await?)
    }

    fn limits(&self) -> Limits {
        options().limits
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
