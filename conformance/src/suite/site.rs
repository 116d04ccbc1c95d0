//! A server on the runtime under test, in a thread of its own, with its books kept.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tideway::App;
use tideway::stages::{Accounts, Counts};
use tideway_driver::{Bound, Listener, Options, Report, Runtime, Stop, serve};

use super::claim::{LIMIT, eventually, fail, holds};
use super::client::Client;
use super::harness::Harness;
use super::ledger::Ledger;

/// A server yet to be started.
pub struct SiteBuilder<R> {
    harness: Harness<R>,
    options: Options,
    bound: Bound,
    addr: Option<SocketAddr>,
}

impl<R: Runtime> SiteBuilder<R> {
    /// A server on a free port of 127.0.0.1, with options under which nothing is cut soon.
    #[must_use]
    pub(super) fn new(harness: Harness<R>) -> Self {
        let mut options = Options::default();
        let long = Duration::from_secs(120);
        let limits = &mut options.limits;
        (limits.first_byte, limits.header, limits.keep_alive) = (long, long, long);
        (limits.body_in, limits.body_out) = (long, long);
        let listener = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
        Self {
            harness,
            options,
            addr: listener.local_addr().ok(),
            bound: Bound::Tcp(listener),
        }
    }

    /// Changes the options.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Serves on a Unix socket instead.
    #[must_use]
    pub fn on_unix(mut self, socket: UnixListener) -> Self {
        self.addr = None;
        self.bound = Bound::Unix(socket);
        self
    }

    /// Serves on this TCP socket instead.
    #[must_use]
    pub fn on_tcp(mut self, socket: TcpListener) -> Self {
        self.addr = socket.local_addr().ok();
        self.bound = Bound::Tcp(socket);
        self
    }

    /// Starts it with the routes that `routes` adds.
    #[must_use]
    pub fn serve(self, routes: impl FnOnce(App) -> App) -> Site {
        self.serve_through(routes, |listener| listener)
    }

    /// The same, accepting from what `listener` makes of the runtime's own listener.
    #[must_use]
    pub fn serve_through<L: Listener>(
        self,
        routes: impl FnOnce(App) -> App,
        listener: impl FnOnce(R::Listener) -> L + Send + 'static,
    ) -> Site {
        let (ledger, accounts, stop) = (Ledger::default(), Accounts::default(), Stop::new());
        let app = App::new()
            .without_stage("accounts")
            .stage_before("host", accounts.clone())
            .stage_before("request id", ledger.clone());
        let app = routes(app);
        let (tell, report) = mpsc::channel();
        let Self {
            harness,
            options,
            bound,
            addr,
        } = self;
        let stopped = stop.clone();
        // Dropped unjoined: a runtime's pool may keep the thread for a while after the report.
        drop(harness.spawn(move |rt| async move {
            let served = match bound.nonblocking().and_then(|bound| rt.listen(bound)) {
                Ok(on) => serve(rt, app, listener(on), options, stopped).await,
                Err(error) => Err(error),
            };
            let _ = tell.send(served);
        }));
        Site {
            addr,
            stop,
            ledger,
            accounts,
            report: Arc::new(Mutex::new(report)),
        }
    }
}

/// A running server. Dropped by a case that has not failed, it is cut, and its books must balance.
#[derive(Debug)]
pub struct Site {
    addr: Option<SocketAddr>,
    /// Stops it.
    pub stop: Stop,
    /// Every exchange.
    pub ledger: Ledger,
    accounts: Accounts,
    report: Arc<Mutex<Receiver<io::Result<Report>>>>,
}

impl Site {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("a site on TCP")
    }

    /// A connection to it.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// The sums so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.accounts.counts()
    }

    /// Waits until `n` exchanges have begun.
    #[track_caller]
    pub fn begun(&self, n: usize) {
        eventually(
            &format!("{n} requests begun"),
            || format!("{:?}", self.counts()),
            || self.ledger.open().0 >= n,
            "a request that was sent is read",
        );
    }

    /// Waits until none is in flight.
    #[track_caller]
    pub fn idle(&self, why: &str) {
        eventually(
            "no exchange in flight",
            || format!("{:?}; {:?}", self.counts(), self.ledger.entries()),
            || self.ledger.open().1 == 0,
            why,
        );
    }

    /// Waits for the server's own end, which something else must have caused.
    #[must_use]
    #[track_caller]
    pub fn report(&self) -> Report {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match report.recv_timeout(2 * LIMIT) {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => fail("a served app", error.to_string(), "the app is well-formed"),
            Err(error) => fail(
                "a stopped server says so",
                error.to_string(),
                "a stop that never ends is killed by the supervisor, and requests with it",
            ),
        }
    }

    /// Everything begun has ended, exactly once.
    #[track_caller]
    fn balance(&self) {
        const WHY: &str =
            "gauges leak and logs stay silent when `done` is missed; both lie when it doubles";
        let begun = Instant::now();
        while let Some(entry) = self.ledger.unbalanced() {
            let doubled = entry.ends.len() > 1;
            if doubled || begun.elapsed() > LIMIT {
                fail(
                    "every exchange ends exactly once",
                    format!("{entry:?}"),
                    WHY,
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let counts = self.counts();
        holds(
            counts.in_flight == 0 && counts.started == counts.completed + counts.aborted,
            "started = completed + aborted, none in flight",
            format!("{counts:?}"),
            WHY,
        );
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.force();
        if !std::thread::panicking() {
            self.balance();
        }
    }
}
