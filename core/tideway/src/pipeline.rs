//! The request pipeline: one [`Exchange`] per request, a pure machine over a shared [`Pipeline`].
//!
//! The driver feeds it inputs and time, polls the futures it hands out, and writes what it answers.
//! It never reads a clock, a socket or entropy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::context::Context;
use crate::routing::{Router, Settings};
use crate::tasks::Tasks;

mod core;
mod exchange;
mod head;
mod line;
mod origin;
mod refusal;
mod running;
mod stage;
mod step;

pub use exchange::Exchange;
pub use line::RequestLine;
pub use origin::Origin;
pub use refusal::refuse;
pub use running::Running;
pub use stage::{Abort, Answer, Ask, Cx, Deadline, End, Flow, Phases, Slot, Stage};
pub use step::{Input, Step};

/// An application made ready to serve: routes, stages in order, services, the runtime's tasks.
pub struct Pipeline {
    pub(crate) router: Router,
    /// With the phases each has a part in.
    pub(crate) stages: Vec<(Box<dyn Stage>, Phases)>,
    pub(crate) context: Context,
    pub(crate) settings: Settings,
    pub(crate) tasks: Arc<dyn Tasks>,
    pub(crate) ready: AtomicBool,
}

impl Pipeline {
    pub(crate) fn new(
        router: Router,
        stages: Vec<Box<dyn Stage>>,
        context: Context,
        settings: Settings,
        tasks: Arc<dyn Tasks>,
    ) -> Arc<Self> {
        let with_phases = |stage: Box<dyn Stage>| {
            let phases = stage.phases();
            (stage, phases)
        };
        Arc::new(Self {
            router,
            stages: stages.into_iter().map(with_phases).collect(),
            context,
            settings,
            tasks,
            ready: AtomicBool::new(true),
        })
    }

    /// The names of the stages, outermost first.
    pub fn stages(&self) -> impl Iterator<Item = &'static str> {
        self.stages.iter().map(|(stage, _)| stage.name())
    }

    /// The services of the application.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The runtime's tasks.
    #[must_use]
    pub fn tasks(&self) -> &Arc<dyn Tasks> {
        &self.tasks
    }

    /// Whether new work is welcome: false from the moment a stop begins. For readiness probes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Says whether new work is welcome. For drivers.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// The pattern of a route.
    pub(crate) fn pattern(&self, route: u32) -> Option<&str> {
        self.router.pattern(route)
    }

    /// The setting of type `T`: the route's, else the app's.
    pub(crate) fn setting<T: Send + Sync + 'static>(&self, route: Option<u32>) -> Option<&T> {
        route
            .and_then(|route| self.router.settings(route)?.get::<T>())
            .or_else(|| self.settings.get::<T>())
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("stages", &self.stages().collect::<Vec<_>>())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
