//! The published `tideway` 0.7, an axum wrapper of the same name. Its stages are its own, limited
//! by its configuration to the four every peer runs; its request id is a UUID from the operating
//! system and cannot be exchanged.

mod sockets;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bench_common::{Args, Message, Order, Stages, User};
use tideway_published::compression::CompressionConfig;
use tideway_published::security::SecurityConfig;
use tideway_published::timeout::TimeoutConfig;
use tideway_published::{App, AppContext, Config, ConfigBuilder, RouteModule};
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))
}

async fn serve(args: Args) -> std::io::Result<()> {
    let app = App::with_config(config(&args)).register_module(Routes);
    let app = match args.stages {
        Stages::None => app.into_router(),
        Stages::All => app.into_router_with_middleware(),
    };
    let listener = TcpListener::bind(args.listen).await?.tap_io(|stream| {
        stream
            .set_nodelay(true)
            .expect("a fresh socket takes TCP_NODELAY");
    });
    bench_common::announce("published", &args);
    axum::serve(listener, app).await
}

fn config(args: &Args) -> Config {
    // Whole seconds are the finest timeout it takes.
    let timeout = TimeoutConfig::builder()
        .timeout_seconds(args.timeout.as_secs().max(1))
        .build();
    ConfigBuilder::new()
        .with_max_body_size(bench_common::BODY_LIMIT)
        .with_timeout(timeout)
        .with_security(SecurityConfig {
            enabled: false,
            ..SecurityConfig::default()
        })
        .with_compression(CompressionConfig {
            enabled: false,
            ..CompressionConfig::default()
        })
        .build()
        .expect("this configuration is valid")
}

struct Routes;

impl RouteModule for Routes {
    fn routes(&self) -> Router<AppContext> {
        let mut routes = Router::new()
            .route("/plaintext", get(async || bench_common::HELLO))
            .route("/json", get(json))
            .route("/json-echo", post(echo))
            .route("/slow", get(std::future::pending::<()>))
            .route("/users/{id}", get(user))
            .merge(sockets::routes());
        for n in 0..bench_common::RESOURCES {
            routes = routes.route(&bench_common::resource_path(n), get(user));
        }
        routes
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
