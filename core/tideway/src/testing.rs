//! Driving an application in a test: no socket, no runtime, virtual time.
//!
//! [`TestApp`] owns the pipeline of an [`App`](crate::App), a clock that moves only when nothing
//! else can, and a seed. A request that takes an hour takes microseconds, and the same test sees
//! the same ids every time.
//!
//! ```
//! use std::time::Duration;
//! use tideway::{App, Clock, get, testing::TestApp};
//!
//! async fn slow(clock: Clock) -> &'static str {
//!     clock.sleep(Duration::from_secs(20)).await;
//!     "done"
//! }
//!
//! let mut app = TestApp::new(App::new().route("/slow", get(slow)));
//! let response = app.get("/slow").send();
//! response.assert_status(200).assert_text("done");
//! assert_eq!(response.elapsed(), Duration::from_secs(20));
//! ```
//!
//! [`TestRequest::send`] runs a request to its end. [`TestRequest::start`] gives an [`InFlight`]
//! instead, to look at it on its way: advance time, feed the request body through a [`BodyFeed`],
//! take the response chunk by chunk, stop reading, hang up. [`VirtualTasks`] is the clock by itself,
//! for testing anything else that takes [`Tasks`](crate::Tasks). [`jobs`] runs one background job, and
//! records those that a handler enqueues.
//!
//! Assertions panic with the whole exchange in the message. So does a test that can make no
//! progress: when every future is pending and no sleep or deadline lies ahead, it stalls, and the
//! message says who waits for what. Futures that other threads wake are not waited for.

mod app;
mod feed;
mod flight;
pub mod jobs;
mod request;
mod response;
mod tasks;

pub use app::TestApp;
pub use feed::BodyFeed;
pub use flight::InFlight;
pub use request::TestRequest;
pub use response::TestResponse;
pub use tasks::VirtualTasks;
