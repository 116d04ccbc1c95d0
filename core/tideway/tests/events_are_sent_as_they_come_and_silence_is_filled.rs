//! Server-sent events: framing, and comments that keep a silent connection alive, in virtual time.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use tideway::response::{Event, Sse};
use tideway::testing::TestApp;
use tideway::{App, Clock, IntoResponse, get};

/// An event after 25 s, another at once, the end 5 s later.
async fn ticks(clock: Clock) -> impl IntoResponse {
    let own = clock.clone();
    let events = stream::unfold(0, move |n| {
        let clock = own.clone();
        async move {
            let wait = [25, 0, 5].get(n).copied()?;
            clock.sleep(Duration::from_secs(wait)).await;
            let event = Event::new().data(format!("tick {n}\nof three"));
            (n < 2).then_some((Ok::<_, Infallible>(event), n + 1))
        }
    });
    Sse::new(events).keep_alive(&clock, Duration::from_secs(10))
}

#[test]
fn a_comment_is_sent_after_each_silent_spell() {
    let mut app = TestApp::new(App::bare().route("/ticks", get(ticks)));
    let response = app.get("/ticks").send();
    response
        .assert_status(200)
        .assert_header("content-type", "text/event-stream")
        .assert_header("cache-control", "no-cache")
        .assert_complete();
    let one = "data: tick 0\ndata: of three\n\n";
    let two = "data: tick 1\ndata: of three\n\n";
    response.assert_text(&format!(":\n\n:\n\n{one}{two}"));
    assert_eq!(response.elapsed(), Duration::from_secs(30));
}
