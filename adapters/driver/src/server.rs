//! The builder that adapters hand to those who own a runtime.

use std::future::Future;
use std::io;

use tideway::jobs::pool::{PoolConfig, PoolReport};
use tideway::{App, Peer};

use crate::dial::Dials;
use crate::options::Listen;
use crate::serve::{Report, pipeline, serve};
use crate::stop::Stop;
use crate::worker::Worker;
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

    /// Serves on whatever [`Listen`] reads: a TCP address or name with a port, `unix:PATH` or `fd:N`.
    /// Bound at once, on this thread.
    pub fn bind(self, addr: &str) -> impl Future<Output = io::Result<Report>> + use<R> {
        let listen = addr
            .parse::<Listen>()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error));
        let bound = listen.and_then(|listen| listen.bind());
        async move { self.on(bound?).await }
    }

    /// Serves nothing: only runs the app's jobs ([`App::worker`], default settings if there are none).
    ///
    /// # Errors
    ///
    /// The app cannot be built, or has no job store.
    pub async fn work(self) -> io::Result<PoolReport> {
        let dials = Dials::default();
        let app = pipeline(&self.rt, self.app.seed(self.rt.seed()), &dials)?;
        let config = app.context().get::<PoolConfig>().cloned();
        let rt = self.rt.clone();
        let worker = Worker::new(self.rt, app, config.unwrap_or_default(), &self.stop);
        let report = worker.map_err(io::Error::other)?.run().await;
        dials.end(&rt, rt.now().mono, &self.stop).await;
        Ok(report)
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
