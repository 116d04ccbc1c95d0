//! An application: routes, stages, services. It names no runtime and opens no socket.

use std::future::Future;
use std::sync::Arc;

use tideway_engine::Seed;

use crate::handler::{Callable, Extract, Handler, Layer, Outcome};
use crate::jobs::pool::PoolConfig;
use crate::jobs::{self, Cron, DynJobStore, Job, JobStore};
use crate::pipeline::{Pipeline, Stage};
use crate::pubsub::{DynPubSub, PubSub};
use crate::response::IntoResponse;
use crate::routing::{MethodRouter, Next, Plan, RouteLine, Routes, Settings};
use crate::ws::{DynRoomEvents, Hub, HubConfig, RoomEvents};
use crate::{Clock, Context, Request, Rng, Tasks};

/// Routes, the stages around them and the services they share.
///
/// ```
/// use tideway::{App, get};
///
/// async fn hello() -> &'static str {
///     "Hello, world!"
/// }
///
/// let app = App::new().route("/", get(hello));
/// assert_eq!(app.routes()[0].to_string(), "GET /");
/// ```
///
/// No method fails: all mistakes are reported together, as one [`BuildError`], when the app is
/// built, before a socket is opened.
#[must_use = "an app does nothing until an adapter runs it"]
pub struct App {
    plan: Plan,
    stages: Vec<Box<dyn Stage>>,
    context: Context,
    settings: Settings,
    jobs: jobs::Plan,
    hub: Option<HubConfig>,
    room_events: Option<Box<dyn DynRoomEvents>>,
    pubsub: Option<DynPubSub>,
    seed: Option<Seed>,
    errors: Vec<String>,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An app with the default stages (see [`stages`](crate::stages)).
    pub fn new() -> Self {
        Self {
            stages: crate::stages::default_stages(),
            ..Self::bare()
        }
    }

    /// An app without any stage: no log, no limit, no deadline.
    pub fn bare() -> Self {
        Self {
            plan: Plan::default(),
            stages: Vec::new(),
            context: Context::default(),
            settings: Settings::default(),
            jobs: jobs::Plan::default(),
            hub: None,
            room_events: None,
            pubsub: None,
            seed: None,
            errors: Vec::new(),
        }
    }

    /// Adds a route; see [`routing`](crate::routing) for patterns. The same pattern may be added
    /// again with other methods.
    pub fn route(mut self, pattern: &str, route: MethodRouter) -> Self {
        self.plan.routes = self.plan.routes.route(pattern, route);
        self
    }

    /// Adds all routes of `group` under `prefix`.
    pub fn nest(mut self, prefix: &str, group: Routes) -> Self {
        self.plan.routes = self.plan.routes.nest(prefix, group);
        self
    }

    /// Adds all routes of `group`. They pass the app's stages and wrappers as every route does.
    pub fn merge(mut self, group: Routes) -> Self {
        self.plan.routes = self.plan.routes.merge(group);
        self
    }

    /// Calls `layer` around every handler, the 404 and the 405 included, inside all stages.
    /// Wrappers read from the outside in: the first is the outermost.
    pub fn wrap<F, R>(mut self, layer: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.plan.wraps.push(Arc::new(Layer(layer)));
        self
    }

    /// Answers what no route matches, instead of the 404 problem document.
    pub fn fallback<F, Args, M, K>(mut self, handler: F) -> Self
    where
        F: Callable<Args>,
        Args: Extract<M>,
        F::Output: Outcome<K> + Send + 'static,
        <F::Output as Outcome<K>>::Value: IntoResponse,
        M: 'static,
        K: 'static,
    {
        if self
            .plan
            .fallback
            .replace(Arc::new(Handler::new(handler)))
            .is_some()
        {
            self.errors
                .push("`fallback` was given twice; keep one".to_owned());
        }
        self
    }

    /// Answers methods that a route lacks, instead of the 405 problem document. `Allow` is added
    /// to its answer.
    pub fn method_not_allowed<F, Args, M, K>(mut self, handler: F) -> Self
    where
        F: Callable<Args>,
        Args: Extract<M>,
        F::Output: Outcome<K> + Send + 'static,
        <F::Output as Outcome<K>>::Value: IntoResponse,
        M: 'static,
        K: 'static,
    {
        if self
            .plan
            .not_allowed
            .replace(Arc::new(Handler::new(handler)))
            .is_some()
        {
            self.errors
                .push("`method_not_allowed` was given twice; keep one".to_owned());
        }
        self
    }

    /// Gives handlers a service, by type: they take it as [`State<T>`](crate::extract::State).
    pub fn provide<T: Send + Sync + 'static>(mut self, service: T) -> Self {
        if !self.context.insert(service) {
            let name = std::any::type_name::<T>();
            self.errors.push(format!(
                "a `{name}` was provided twice; wrap one in a type of its own"
            ));
        }
        self
    }

    /// Where [`jobs`](crate::jobs) are kept: handlers may then take [`Jobs`](crate::jobs::Jobs). A setting
    /// [`MaxPayload`](crate::jobs::MaxPayload) caps their size.
    pub fn store(mut self, store: impl JobStore) -> Self {
        self.jobs.store(DynJobStore::new(store));
        self
    }

    /// Lets workers of this app run jobs of the kind `T`. An app that only enqueues them need not name it.
    pub fn job<T: Job>(mut self) -> Self {
        self.jobs.job::<T>();
        self
    }

    /// Has whoever serves the app run its jobs too, in the same process. Without it the app only enqueues.
    pub fn worker(self, config: PoolConfig) -> Self {
        self.provide(config)
    }

    /// Enqueues a job by the clock.
    pub fn cron<T: Job>(mut self, cron: Cron<T>) -> Self {
        self.jobs.cron(cron);
        self
    }

    /// What the app's rooms declare and may hold. Every app has a [`Hub`]; without this call one with the defaults.
    pub fn hub(mut self, config: HubConfig) -> Self {
        if self.hub.replace(config).is_some() {
            self.errors
                .push("`hub` was given twice; keep one".to_owned());
        }
        self
    }

    /// Who is told of what happens in the app's rooms.
    pub fn room_events(mut self, events: impl RoomEvents) -> Self {
        if self.room_events.replace(Box::new(events)).is_some() {
            self.errors
                .push("`room_events` was given twice; keep one".to_owned());
        }
        self
    }

    /// How the app's rooms reach other nodes: those that declare [`Reach::Cluster`](tideway_engine::hub::Reach), and no
    /// others. All nodes take the same broker and [`HubConfig::channels`].
    pub fn pubsub(mut self, broker: impl PubSub) -> Self {
        if self.pubsub.replace(DynPubSub::new(broker)).is_some() {
            self.errors
                .push("`pubsub` was given twice; keep one".to_owned());
        }
        self
    }

    /// Where the ids of jobs and the secrets of the hub come from: fresh entropy in every process. Drivers call it before
    /// [`pipeline`](Self::pipeline).
    pub fn seed(mut self, seed: Seed) -> Self {
        let mut rng = Rng::new(&seed);
        self.jobs.seed(rng.fork());
        self.seed = Some(rng.fork());
        self
    }

    /// Sets an app-wide setting that stages look up by type. A route's or group's own wins.
    pub fn set<T: Send + Sync + 'static>(mut self, setting: T) -> Self {
        self.settings.insert(setting);
        self
    }

    /// Appends a stage: it stands inside all others.
    pub fn stage(mut self, stage: impl Stage) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Inserts a stage right outside the one called `name`.
    pub fn stage_before(mut self, name: &str, stage: impl Stage) -> Self {
        match self.position(name) {
            Some(at) => self.stages.insert(at, Box::new(stage)),
            None => {
                let error = format!("the stage `{}` was to stand before `{name}`", stage.name());
                self.absent(&error);
            }
        }
        self
    }

    /// Removes the stage called `name`.
    pub fn without_stage(mut self, name: &str) -> Self {
        match self.position(name) {
            Some(at) => drop(self.stages.remove(at)),
            None => self.absent(&format!("the stage `{name}` was to be removed")),
        }
        self
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name() == name)
    }

    fn absent(&mut self, error: &str) {
        let names = self.stages().join(", ");
        self.errors.push(format!(
            "{error}, which is not there; the stages are: {names}"
        ));
    }

    /// The names of the stages, outermost first.
    #[must_use]
    pub fn stages(&self) -> Vec<&'static str> {
        self.stages.iter().map(|stage| stage.name()).collect()
    }

    /// All registered routes, sorted by pattern.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteLine> {
        self.plan.list()
    }

    /// The app made ready to serve, with the runtime behind `tasks`. Drivers call it; so does
    /// [`testing`](crate::testing).
    ///
    /// Fails with everything that is wrong: malformed or conflicting patterns, mistaken prefixes,
    /// services that a handler or job needs and nobody provided, stages that are there twice.
    pub fn pipeline(mut self, tasks: Arc<dyn Tasks>) -> Result<Arc<Pipeline>, BuildError> {
        let mut errors = self.errors;
        let max = self.settings.get().copied().unwrap_or_default();
        if let Some(seed) = &self.seed {
            let config = self.hub.unwrap_or_default();
            let hub = Hub::new(config, self.room_events, self.pubsub, seed, tasks.clone());
            self.context.insert(hub);
        }
        let clock = Clock::new(tasks.clone());
        self.jobs.build(&mut self.context, clock, max, &mut errors);
        let mut names: Vec<_> = self.stages.iter().map(|stage| stage.name()).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if pair[0] == pair[1] {
                errors.push(format!(
                    "the stage `{}` is there twice; remove one",
                    pair[0]
                ));
            }
        }
        let router = self.plan.build(Some(&self.context), &mut errors);
        if !errors.is_empty() {
            errors.sort_unstable();
            errors.dedup();
            return Err(BuildError { errors });
        }
        let Self {
            stages,
            context,
            settings,
            ..
        } = self;
        Ok(Pipeline::new(router, stages, context, settings, tasks))
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("stages", &self.stages())
            .field("routes", &self.routes())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// Everything that is wrong with an [`App`], one sentence each.
#[derive(Debug)]
pub struct BuildError {
    errors: Vec<String>,
}

impl BuildError {
    /// The sentences, sorted.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the app cannot be built:")?;
        self.errors
            .iter()
            .try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for BuildError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::extract::State;
    use crate::{BoxFuture, Mono, Now, Wall, get};

    struct Nothing;

    impl Tasks for Nothing {
        fn now(&self) -> Now {
            Now::start(Wall(0))
        }

        fn sleep_until(&self, _: Mono) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn spawn(&self, task: BoxFuture<'static, ()>) {
            drop(task);
        }

        fn run(&self, work: Box<dyn FnOnce() + Send>) {
            work();
        }
    }

    struct Named(&'static str);

    impl Stage for Named {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    fn build(app: App) -> Result<Arc<Pipeline>, BuildError> {
        app.pipeline(Arc::new(Nothing))
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_place() {
        async fn needy(_: State<Duration>) {}
        async fn lost(_: State<u16>) {}
        let app = App::bare()
            .route("/a", get(needy))
            .route("/b", get(|| ()).post(lost))
            .route("c", get(|| ()))
            .fallback(lost)
            .provide(1_u8)
            .provide(2_u8)
            .stage(Named("one"))
            .stage(Named("one"))
            .stage_before("two", Named("three"))
            .without_stage("four");
        let error = build(app).expect_err("mistakes");
        let wanted = [
            "GET /a needs a `core::time::Duration`; give the app one with `provide`",
            "POST /b needs a `u16`; give the app one with `provide`",
            "`c` must start with `/`",
            "a `u8` was provided twice; wrap one in a type of its own",
            "the `fallback` needs a `u16`; give the app one with `provide`",
            "the stage `four` was to be removed, which is not there; the stages are: one, one",
            "the stage `one` is there twice; remove one",
            "the stage `three` was to stand before `two`, which is not there; the stages are: one, one",
        ];
        assert_eq!(error.errors(), wanted);
        assert!(
            error
                .to_string()
                .starts_with("the app cannot be built:\n  - GET /a")
        );
    }

    #[test]
    fn what_is_provided_is_enough() {
        let app = App::bare()
            .provide(1_u8)
            .route("/", get(|n: State<u8>| n.0.to_string()));
        assert!(build(app).is_ok());
    }

    #[test]
    fn the_order_of_stages_is_a_list() {
        let app = App::bare()
            .stage(Named("a"))
            .stage(Named("c"))
            .stage_before("c", Named("b"))
            .without_stage("a");
        assert_eq!(app.stages(), ["b", "c"]);
        let default = App::new();
        assert!(build(default).is_ok());
    }

    #[test]
    fn routes_are_listed_with_their_methods() {
        let group = Routes::new()
            .route("/", get(|| ()).post(|| ()))
            .route("/{id}", crate::any(|| ()).delete(|| ()));
        let app = App::bare()
            .nest("/notes", group)
            .route("/notes", crate::put(|| ()));
        let lines: Vec<_> = app.routes().iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["GET,POST,PUT /notes", "DELETE,any /notes/{id}"]);
    }
}
