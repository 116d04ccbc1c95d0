//! actix-web 4 with one worker; its batteries are its own `Logger` and small `from_fn` middleware.

mod sockets;

use std::io;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorRequestTimeout;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Logger, Next, from_fn};
use actix_web::web::{self, Json, JsonConfig, PayloadConfig, ServiceConfig};
use actix_web::{App, Error, HttpServer};
use bench_common::{Args, Message, Order, Stages, User};

/// One worker; a macro, because the two applications differ in type.
macro_rules! server {
    ($args:expr, $app:expr) => {
        HttpServer::new($app)
            .workers(1)
            .tcp_nodelay(true)
            // Idle connections must outlive the memory measurement.
            .keep_alive(Duration::from_secs(120))
            .disable_signals()
            .bind($args.listen)?
            .run()
    };
}

fn main() -> io::Result<()> {
    let args = bench_common::args();
    actix_web::rt::System::new().block_on(serve(args))
}

async fn serve(args: Args) -> io::Result<()> {
    let server = match args.stages {
        Stages::None => server!(args, || App::new().configure(routes)),
        Stages::All => server!(args, move || {
            App::new()
                .app_data(PayloadConfig::new(bench_common::BODY_LIMIT))
                .app_data(JsonConfig::default().limit(bench_common::BODY_LIMIT))
                .wrap(from_fn(move |request, next| {
                    time_out(args.timeout, request, next)
                }))
                .wrap(Logger::default())
                .wrap(from_fn(request_id))
                .configure(routes)
        }),
    };
    bench_common::announce("actix", &args);
    server.await
}

fn routes(app: &mut ServiceConfig) {
    app.route("/plaintext", web::get().to(async || bench_common::HELLO))
        .route("/json", web::get().to(json))
        .route("/json-echo", web::post().to(echo))
        .route("/slow", web::get().to(slow))
        .route("/ws/echo", web::get().to(sockets::echo))
        .route("/users/{id}", web::get().to(user));
    for n in 0..bench_common::RESOURCES {
        app.route(&bench_common::resource_path(n), web::get().to(user));
    }
}

async fn request_id(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    const NAME: HeaderName = HeaderName::from_static("x-request-id");
    let id = HeaderValue::from_bytes(&bench_common::request_id()).expect("hexadecimal digits");
    request.headers_mut().insert(NAME, id.clone());
    let mut response = next.call(request).await?;
    response.headers_mut().insert(NAME, id);
    Ok(response)
}

async fn time_out<B: MessageBody>(
    after: Duration,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    tokio::time::timeout(after, next.call(request))
        .await
        .unwrap_or_else(|late| Err(ErrorRequestTimeout(late)))
}

async fn json() -> Json<Message> {
    Json(bench_common::message())
}

async fn user(id: web::Path<u64>) -> Json<User> {
    Json(bench_common::user(id.into_inner()))
}

async fn echo(order: Json<Order>) -> Json<Order> {
    order
}

async fn slow() -> &'static str {
    std::future::pending().await
}
