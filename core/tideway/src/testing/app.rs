//! An application under test.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tideway_engine::{Now, Rng, Seed};

use super::{InFlight, TestRequest, VirtualTasks};
use crate::pipeline::{Origin, Pipeline};
use crate::tasks::Tasks;
use crate::{App, BuildError, Context, Peer, Request};

/// An [`App`] with virtual time instead of a runtime and function calls instead of a socket.
///
/// ```
/// use tideway::{App, get, testing::TestApp};
///
/// let mut app = TestApp::new(App::new().route("/", get(|| "Hello, world!")));
/// app.get("/").send().assert_status(200).assert_text("Hello, world!");
/// app.get("/no").send().assert_problem(404, "/no");
/// ```
#[derive(Debug)]
pub struct TestApp {
    pipeline: Arc<Pipeline>,
    tasks: VirtualTasks,
    rng: Rng,
}

impl TestApp {
    /// Builds `app`, with a fixed seed.
    ///
    /// # Panics
    ///
    /// With everything that is wrong, if `app` cannot be built.
    #[must_use]
    #[track_caller]
    pub fn new(app: App) -> Self {
        Self::with_seed(app, 0)
    }

    /// Builds `app` with `seed`, from which request ids and all other randomness come.
    ///
    /// # Panics
    ///
    /// With everything that is wrong, if `app` cannot be built.
    #[must_use]
    #[track_caller]
    pub fn with_seed(app: App, seed: u64) -> Self {
        match Self::over(app, seed, VirtualTasks::default()) {
            Ok(app) => app,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds `app`, to look at what is wrong with it.
    pub fn try_new(app: App) -> Result<Self, BuildError> {
        Self::over(app, 0, VirtualTasks::default())
    }

    /// Builds `app` over `tasks`, which it shares with whatever else the test drives.
    pub fn over(app: App, seed: u64, tasks: VirtualTasks) -> Result<Self, BuildError> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = Rng::new(&Seed(bytes));
        // A stream apart: an app with jobs has the same request ids as one without.
        bytes[8] = 1;
        Ok(Self {
            pipeline: app.seed(Seed(bytes)).pipeline(Arc::new(tasks.clone()))?,
            tasks,
            rng,
        })
    }

    /// A GET of `target`, a path with or without a query.
    pub fn get(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::GET, target)
    }

    /// A HEAD of `target`.
    pub fn head(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::HEAD, target)
    }

    /// A POST to `target`.
    pub fn post(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::POST, target)
    }

    /// A PUT to `target`.
    pub fn put(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::PUT, target)
    }

    /// A PATCH of `target`.
    pub fn patch(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::PATCH, target)
    }

    /// A DELETE of `target`.
    pub fn delete(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::DELETE, target)
    }

    /// The OPTIONS of `target`.
    pub fn options(&mut self, target: &str) -> TestRequest<'_> {
        self.request(Method::OPTIONS, target)
    }

    /// A request of any method.
    pub fn request(&mut self, method: Method, target: &str) -> TestRequest<'_> {
        TestRequest::new(self, method, target)
    }

    /// Starts `request` as it is, as the first on a connection from `peer`: no header is added, its
    /// body arrives as if from a network.
    pub fn start(&mut self, request: Request, peer: Peer) -> InFlight {
        let origin = Origin::new(self.pipeline.clone(), peer, self.rng.fork());
        InFlight::start(origin, self.tasks.clone(), request)
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        self.tasks.now()
    }

    /// Moves time, running spawned tasks on the way. Requests in flight notice when they are looked
    /// at next; to advance one step by step use [`InFlight::advance`].
    pub fn advance(&self, duration: Duration) {
        self.tasks.advance(duration);
    }

    /// The clock, the sleeps and the spawned tasks.
    #[must_use]
    pub fn tasks(&self) -> &VirtualTasks {
        &self.tasks
    }

    /// The pipeline, for driving an [`Exchange`](crate::pipeline::Exchange) by hand.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// The services of the app.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.pipeline.context()
    }
}
