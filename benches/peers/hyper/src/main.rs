//! Raw hyper: one `service_fn`, a hand-written match for a router, no stages at all.

use std::convert::Infallible;

use bench_common::{Args, Order};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    if args.stages == bench_common::Stages::All {
        eprintln!("raw hyper has no stages: run it with --stages none");
        std::process::exit(2);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))
}

async fn serve(args: Args) -> std::io::Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    bench_common::announce("hyper", &args);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection error is the client's end, not ours.
            let _ = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(args.pipeline_flush)
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::GET, "/plaintext") => {
            let text = Bytes::from_static(bench_common::HELLO.as_bytes());
            typed("text/plain; charset=utf-8", text)
        }
        (&Method::GET, "/json") => json(&bench_common::message()),
        (&Method::POST, "/json-echo") => echo(request).await,
        (&Method::GET, "/slow") => std::future::pending().await,
        (&Method::GET, _) => match user_id(path) {
            Some(id) => json(&bench_common::user(id)),
            None => bare(StatusCode::NOT_FOUND),
        },
        _ => bare(StatusCode::NOT_FOUND),
    })
}

/// The id of `/users/{id}` and `/rN/{id}`.
fn user_id(path: &str) -> Option<u64> {
    let (resource, id) = path.strip_prefix('/')?.split_once('/')?;
    let known = resource == "users"
        || resource
            .strip_prefix('r')
            .and_then(|n| n.parse::<usize>().ok())
            .is_some_and(|n| n < bench_common::RESOURCES);
    known.then(|| id.parse().ok())?
}

async fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Ok(body) = request.into_body().collect().await else {
        return bare(StatusCode::BAD_REQUEST);
    };
    match serde_json::from_slice::<Order>(&body.to_bytes()) {
        Ok(order) => json(&order),
        Err(_) => bare(StatusCode::UNPROCESSABLE_ENTITY),
    }
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("the payloads always serialise");
    typed("application/json", body.into())
}

fn typed(kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
