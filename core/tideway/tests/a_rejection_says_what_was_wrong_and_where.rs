//! What a client sent wrongly is answered with the status of that mistake, as a problem document
//! that names the field: 413 and 415 never become 400.

use serde::{Deserialize, Serialize};
use tideway::extract::{Form, Json, JsonRejection, Path, Query};
use tideway::testing::TestApp;
use tideway::{App, get, post};

#[derive(Deserialize, Serialize)]
struct Order {
    apples: u8,
    to: Address,
}

#[derive(Deserialize, Serialize)]
struct Address {
    street: String,
}

#[derive(Deserialize)]
struct Page {
    page: u8,
}

async fn order(Json(order): Json<Order>) -> String {
    format!("{} to {}", order.apples, order.to.street)
}

fn app() -> TestApp {
    let app = App::new()
        .route("/orders", post(order))
        .route("/orders/{id}", get(|Path(id): Path<u32>| id.to_string()))
        .route(
            "/list",
            get(|Query(Page { page }): Query<Page>| page.to_string()),
        )
        .route(
            "/form",
            post(async |Form(Page { page }): Form<Page>| page.to_string()),
        )
        .route("/text", post(async |text: String| text))
        .route(
            "/lenient",
            post(
                async |order: Result<Json<Order>, JsonRejection>| match order {
                    Ok(_) => "an order".to_owned(),
                    Err(error) => format!("no order: {error}"),
                },
            ),
        )
        .route(
            "/maybe",
            post(async |order: Option<Json<Order>>| match order {
                Some(_) => "an order",
                None => "nothing",
            }),
        );
    TestApp::new(app)
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn json() {
    let mut app = app();
    let good = r#"{"apples":5,"to":{"street":"Elm"}}"#;
    app.post("/orders")
        .header(JSON.0, JSON.1)
        .body(good)
        .send()
        .assert_text("5 to Elm");
    app.post("/orders")
        .body(good)
        .send()
        .assert_problem(415, "application/json");
    let bad = app
        .post("/orders")
        .header(JSON.0, JSON.1)
        .body("{\"apples\": 5,\n oops}")
        .send();
    bad.assert_problem(400, "line 2");
    let bad = r#"{"apples":5,"to":{"street":7}}"#;
    let bad = app.post("/orders").header(JSON.0, JSON.1).body(bad).send();
    bad.assert_problem(422, "to.street")
        .assert_json_path("/field", "to.street");
    let bad = r#"{"apples":"5 apples","to":{"street":"Elm"}}"#;
    let bad = app.post("/orders").header(JSON.0, JSON.1).body(bad).send();
    bad.assert_problem(422, "apples");
}

#[test]
fn path_query_and_form() {
    let mut app = app();
    app.get("/orders/5%20apples")
        .send()
        .assert_problem(400, "`id`");
    app.get("/orders/%ff").send().assert_problem(400, "UTF-8");
    app.get("/list?page=two").send().assert_problem(400, "page");
    app.get("/list?page=0").send().assert_text("0");
    let form = "application/x-www-form-urlencoded";
    app.post("/form")
        .header("content-type", form)
        .body("page=7")
        .send()
        .assert_text("7");
    app.post("/form")
        .header("content-type", form)
        .body("page=x")
        .send()
        .assert_problem(422, "page");
    app.post("/form")
        .body("page=7")
        .send()
        .assert_problem(415, form);
}

#[test]
fn a_handler_may_take_the_rejection_itself() {
    let mut app = app();
    app.post("/lenient")
        .body("{}")
        .send()
        .assert_status(200)
        .assert_contains("no order");
}

#[test]
fn an_option_is_none_only_when_nothing_was_sent() {
    let mut app = app();
    app.post("/maybe").send().assert_text("nothing");
    app.post("/maybe")
        .header(JSON.0, JSON.1)
        .body("{")
        .send()
        .assert_status(400);
    app.post("/maybe").body("{}").send().assert_status(415);
}

#[test]
fn too_much_is_413() {
    let mut app = app();
    let much = "x".repeat(64 << 20);
    app.post("/text").body(much).send().assert_status(413);
}
