//! The builder that adapters hand to those who own a runtime.

use std::future::Future;
use std::io;
use std::net::ToSocketAddrs as _;

use tideway::{App, Peer};

use crate::options::Listen;
use crate::serve::{Report, serve};
use crate::stop::Stop;
use crate::{Bound, Listener as _, Options, Runtime};

/// An app about to be served on a runtime.
#[must_use = "nothing is served until `bind` or `on` is awaited"]
pub struct Server<R> {
    rt: R,
    app: App,
    options: Options,
    stop: Stop,
    ready: Option<Box<dyn FnOnce(Peer) + Send>>,
}

impl<R: Runtime> Server<R> {
    /// `app` on `rt`, with default options.
    pub fn new(rt: R, app: App) -> Self {
        Self {
            rt,
            app,
            options: Options::default(),
            stop: Stop::new(),
            ready: None,
        }
    }

    /// Replaces caps and deadlines.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Stops when `stop` says so.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Called once with the address, when connections are taken.
    pub fn on_ready(mut self, ready: impl FnOnce(Peer) + Send + 'static) -> Self {
        self.ready = Some(Box::new(ready));
        self
    }

    /// Serves on a TCP `host:port` (the name may resolve to several addresses; the first that binds is
    /// taken), or on `unix:PATH`.
    pub fn bind(self, addr: &str) -> impl Future<Output = io::Result<Report>> + use<R> {
        let bound = bind(addr);
        async move { self.on(bound?).await }
    }

    /// Serves on a socket that is already bound.
    pub async fn on(self, bound: Bound) -> io::Result<Report> {
        let listener = self.rt.listen(bound.nonblocking()?)?;
        if let Some(ready) = self.ready {
            ready(listener.local()?);
        }
        serve(self.rt, self.app, listener, self.options, self.stop).await
    }
}

fn bind(addr: &str) -> io::Result<Bound> {
    if let Ok(listen) = addr.parse::<Listen>() {
        return listen.bind();
    }
    let wrong = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
    };
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    for addr in addr.to_socket_addrs().map_err(wrong)? {
        match Listen::Tcp(addr).bind() {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(wrong(last))
}
