//! ntex on its tokio runtime with one worker; its batteries are its own `Logger` and one small
//! middleware for request id and timeout.

use std::io;
use std::time::Duration;

use bench_common::{Args, Message, Order, Stages, User};
use ntex::http::header::{HeaderName, HeaderValue};
use ntex::http::{HttpServiceConfig, KeepAlive};
use ntex::service::{Middleware, Service, ServiceCtx};
use ntex::time::{Seconds, timeout};
use ntex::web::middleware::Logger;
use ntex::web::types::{Json, JsonConfig, Path, PayloadConfig};
use ntex::web::{self, App, Error, HttpServer, ServiceConfig, WebRequest, WebResponse};
use ntex::{SharedCfg, forward_poll, forward_ready, forward_shutdown};

/// One worker; a macro, because the two applications differ in type.
macro_rules! server {
    ($args:expr, $app:expr) => {
        HttpServer::new($app)
            .workers(1)
            .disable_signals()
            .config(kept_alive())
            .bind($args.listen)?
            .run()
    };
}

#[ntex::main(name = "peer-ntex")]
async fn main() -> io::Result<()> {
    serve(bench_common::args()).await
}

async fn serve(args: Args) -> io::Result<()> {
    let after = args.timeout;
    let server = match args.stages {
        Stages::None => server!(args, async || {
            // Its default of 32 KiB is below the limit the stages set; 2 MiB is axum's default.
            App::new()
                .state(JsonConfig::default().limit(2 * 1024 * 1024))
                .configure(routes)
        }),
        Stages::All => server!(args, async move || {
            App::new()
                .state(PayloadConfig::new(bench_common::BODY_LIMIT))
                .state(JsonConfig::default().limit(bench_common::BODY_LIMIT))
                .middleware(RequestId)
                .middleware(Logger::default())
                .middleware(TimeOut { after })
                .configure(routes)
        }),
    };
    bench_common::announce("ntex", &args);
    server.await
}

/// Idle connections must outlive the memory measurement.
fn kept_alive() -> SharedCfg {
    let http = HttpServiceConfig::new().set_keepalive(KeepAlive::Timeout(Seconds(120)));
    SharedCfg::new("peer-ntex").add(http).into()
}

fn routes(app: &mut ServiceConfig) {
    app.route("/plaintext", web::get().to(async || bench_common::HELLO))
        .route("/json", web::get().to(json))
        .route("/json-echo", web::post().to(echo))
        .route("/slow", web::get().to(slow))
        .route("/users/{id}", web::get().to(user));
    for n in 0..bench_common::RESOURCES {
        app.route(&bench_common::resource_path(n), web::get().to(user));
    }
}

/// Middleware and service in one: sets `x-request-id` on the request and on the response.
struct RequestId;

struct RequestIdService<S> {
    service: S,
}

impl<S> Middleware<S, SharedCfg> for RequestId {
    type Service = RequestIdService<S>;

    fn create(&self, service: S, _: SharedCfg) -> Self::Service {
        RequestIdService { service }
    }
}

impl<S, E> Service<WebRequest<E>> for RequestIdService<S>
where
    S: Service<WebRequest<E>, Response = WebResponse>,
{
    type Response = WebResponse;
    type Error = S::Error;

    forward_poll!(service);
    forward_ready!(service);
    forward_shutdown!(service);

    async fn call(
        &self,
        mut request: WebRequest<E>,
        cx: ServiceCtx<'_, Self>,
    ) -> Result<WebResponse, S::Error> {
        const NAME: HeaderName = HeaderName::from_static("x-request-id");
        let id = HeaderValue::from_bytes(&bench_common::request_id()).expect("hexadecimal digits");
        request.headers_mut().insert(NAME, id.clone());
        let mut response = cx.call(&self.service, request).await?;
        response.headers_mut().insert(NAME, id);
        Ok(response)
    }
}

/// Answers 408 when the handler takes too long.
struct TimeOut {
    after: Duration,
}

struct TimeOutService<S> {
    service: S,
    after: Duration,
}

impl<S> Middleware<S, SharedCfg> for TimeOut {
    type Service = TimeOutService<S>;

    fn create(&self, service: S, _: SharedCfg) -> Self::Service {
        TimeOutService {
            service,
            after: self.after,
        }
    }
}

impl<S, E> Service<WebRequest<E>> for TimeOutService<S>
where
    S: Service<WebRequest<E>, Response = WebResponse, Error = Error>,
{
    type Response = WebResponse;
    type Error = Error;

    forward_poll!(service);
    forward_ready!(service);
    forward_shutdown!(service);

    async fn call(
        &self,
        request: WebRequest<E>,
        cx: ServiceCtx<'_, Self>,
    ) -> Result<WebResponse, Error> {
        timeout(self.after, cx.call(&self.service, request))
            .await
            .unwrap_or_else(|()| {
                Err(web::error::ErrorRequestTimeout::<_, web::DefaultError>("too late").into())
            })
    }
}

async fn json() -> Json<Message> {
    Json(bench_common::message())
}

async fn user(id: Path<u64>) -> Json<User> {
    Json(bench_common::user(id.into_inner()))
}

async fn echo(order: Json<Order>) -> Json<Order> {
    order
}

async fn slow() -> &'static str {
    std::future::pending().await
}
