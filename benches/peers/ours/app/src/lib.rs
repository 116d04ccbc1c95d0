//! Ours: the routes every peer has and, when asked for, the default stages with the limits every
//! peer runs. It names no runtime; the neighbouring packages do.

mod sockets;

use bench_common::{Args, BODY_LIMIT, Message, Order, Stages, User};
use tideway::extract::{Json, Path};
use tideway::stages::{MaxBody, TimeoutLimits};
use tideway::{App, get, post};

/// The application for this command line.
pub fn app(args: &Args) -> App {
    let app = match args.stages {
        Stages::None => App::bare(),
        Stages::All => App::new()
            .set(MaxBody(BODY_LIMIT as u64))
            .set(TimeoutLimits {
                handler: Some(args.timeout),
                ..TimeoutLimits::default()
            }),
    };
    let deflate = args.deflate;
    let mut app = app
        .route("/plaintext", get(plaintext))
        .route("/json", get(json))
        .route("/json-echo", post(echo))
        .route("/slow", get(slow))
        .route("/ws/echo", get(move |upgrade| sockets::echo(upgrade, deflate)))
        .route("/ws/room", get(sockets::room))
        .route("/users/{id}", get(user));
    for n in 0..bench_common::RESOURCES {
        app = app.route(&bench_common::resource_path(n), get(user));
    }
    app
}

async fn plaintext() -> &'static str {
    bench_common::HELLO
}

async fn json() -> Json<Message> {
    Json(bench_common::message())
}

async fn user(Path(id): Path<u64>) -> Json<User> {
    Json(bench_common::user(id))
}

async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

async fn slow() -> &'static str {
    std::future::pending().await
}
