//! axum 0.8 with `axum::serve`; its batteries are tower-http's, in one `ServiceBuilder` layer.

mod sockets;

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bench_common::{Args, Message, Order, Stages, User};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))
}

async fn serve(args: Args) -> std::io::Result<()> {
    let app = match args.stages {
        Stages::None => routes(),
        Stages::All => with_batteries(routes(), args.timeout),
    };
    let listener = TcpListener::bind(args.listen).await?.tap_io(|stream| {
        stream
            .set_nodelay(true)
            .expect("a fresh socket takes TCP_NODELAY");
    });
    bench_common::announce("axum", &args);
    axum::serve(listener, app).await
}

fn routes() -> Router {
    let room = sockets::room();
    let mut app = Router::new()
        .route("/plaintext", get(async || bench_common::HELLO))
        .route("/json", get(json))
        .route("/json-echo", post(echo))
        .route("/slow", get(std::future::pending::<()>))
        .route("/ws/echo", get(sockets::echo))
        .route("/ws/room", get(move |upgrade| sockets::join(upgrade, room.clone())))
        .route("/users/{id}", get(user));
    for n in 0..bench_common::RESOURCES {
        app = app.route(&bench_common::resource_path(n), get(user));
    }
    app
}

fn with_batteries(app: Router, timeout: Duration) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_request(())
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    app.layer(
        ServiceBuilder::new()
            .layer(SetRequestIdLayer::x_request_id(CheapId))
            .layer(trace)
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                timeout,
            ))
            .layer(DefaultBodyLimit::max(bench_common::BODY_LIMIT)),
    )
}

#[derive(Clone)]
struct CheapId;

impl MakeRequestId for CheapId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::from_bytes(&bench_common::request_id())
            .ok()
            .map(RequestId::new)
    }
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
