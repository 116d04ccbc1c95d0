//! A handler's services are declared by its extractors, so that a missing one never waits for the
//! first request: the app does not start, and says which type which route lacks.

use std::sync::Arc;

use tideway::extract::{FromRequestParts, State};
use tideway::testing::TestApp;
use tideway::{App, Context, Needs, Parts, Problem, Routes, get, post};

#[derive(Clone)]
struct Mailer(&'static str);

/// An extractor of the user's own hands on the needs of what it is made of.
struct Sender(Arc<Mailer>);

impl FromRequestParts for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, cx: &Context) -> Result<Self, Problem> {
        let State(mailer) = State::<Arc<Mailer>>::from_request_parts(parts, cx).await?;
        Ok(Self(mailer))
    }

    fn needs(needs: &mut Needs) {
        <State<Arc<Mailer>> as FromRequestParts>::needs(needs);
    }
}

async fn send(sender: Sender) -> &'static str {
    sender.0.0
}

fn app() -> App {
    App::new()
        .nest("/mail", Routes::new().route("/send", post(send)))
        .route("/", get(|| "home"))
}

#[test]
fn the_error_names_type_and_route() {
    let error = TestApp::try_new(app())
        .expect_err("a missing service")
        .to_string();
    assert!(error.contains("POST /mail/send needs a"), "{error}");
    assert!(error.contains("Mailer"), "{error}");
}

#[test]
fn a_provided_one_reaches_the_handler() {
    let mut app = TestApp::new(app().provide(Arc::new(Mailer("sent"))));
    app.post("/mail/send")
        .send()
        .assert_status(200)
        .assert_text("sent");
}
