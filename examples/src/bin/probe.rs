//! One endpoint per behaviour, for load generators, fuzzers and the tests of other tools.
//!
//! Everything a client can ask for is capped, and a request past a cap is refused with 400.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tideway::bytes::Bytes;
use tideway::extract::{Json, Path, Query};
use tideway::http::{HeaderMap, StatusCode};
use tideway::response::{Event, EventError, Sse};
use tideway::stages::{MaxBody, TimeoutLimits};
use tideway::ws::{self, Hub, WebSocketUpgrade};
use tideway::{App, Body, Clock, IntoResponse, Problem, Response, get, post};
use tideway_examples::{Serving, Switch, healthz, log, readyz, serve};

/// Serves one endpoint per behaviour, for tools
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
    /// The default stages with a log, or neither
    #[arg(long, value_enum, default_value_t = Stages::All)]
    stages: Stages,
    /// Whether WebSockets compress their messages
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    deflate: Switch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stages {
    All,
    None,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    let app = match cli.stages {
        Stages::All => {
            log();
            App::new()
        }
        Stages::None => App::bare(),
    };
    serve(&cli.serving, routes(app, cli.deflate == Switch::On))
}

async fn plaintext() -> &'static str {
    "Hello, World!"
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn json() -> Json<Message> {
    Json(Message {
        message: "Hello, World!",
    })
}

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}")
}

/// The body as it comes. Its first chunk is awaited before the answer begins: reading is what makes
/// the server send `100 Continue`, and it cannot once the answer's head is out.
async fn echo(body: Body) -> Result<Body, Problem> {
    let mut chunks = body.into_data_stream();
    let first = chunks.next().await.transpose()?;
    let first = stream::iter(first.map(Ok));
    Ok(Body::stream(first.chain(chunks)))
}

async fn json_echo(Json(value): Json<serde_json::Value>) -> Json<serde_json::Value> {
    Json(value)
}

/// `value` if it is at most `cap`, else a refusal that names the parameter.
fn capped<T: PartialOrd + std::fmt::Display>(name: &str, value: T, cap: T) -> Result<T, Problem> {
    if value <= cap {
        return Ok(value);
    }
    let detail = format!("`{name}` is {value}; at most {cap} is served");
    Err(Problem::new(StatusCode::BAD_REQUEST).detail(detail))
}

#[derive(Deserialize)]
#[serde(default)]
struct Chunks {
    chunks: u64,
    bytes: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            chunks: 8,
            bytes: 1024,
        }
    }
}

async fn chunks(Query(asked): Query<Chunks>) -> Result<impl IntoResponse, Problem> {
    let count = capped("chunks", asked.chunks, 1_000_000)? as usize;
    let chunk = Bytes::from(vec![b'x'; capped("bytes", asked.bytes, 1024 * 1024)?]);
    let chunks = stream::repeat(chunk).take(count).map(Ok::<_, Infallible>);
    Ok(([("content-type", "text/plain")], Body::stream(chunks)))
}

#[derive(Deserialize)]
struct Events {
    n: Option<u64>,
    ms: Option<u64>,
}

/// `n` events, `ms` milliseconds apart.
async fn events(clock: Clock, Query(asked): Query<Events>) -> Result<impl IntoResponse, Problem> {
    let n = capped("n", asked.n.unwrap_or(3), 10_000)?;
    let pause = Duration::from_millis(capped("ms", asked.ms.unwrap_or(10), 60_000)?);
    let alive = clock.clone();
    let events = stream::iter(1..=n).then(move |i| {
        let due = clock.sleep(pause);
        async move {
            due.await;
            let event = Event::new().event("tick")?.id(i.to_string())?;
            Ok::<_, EventError>(event.data(format!("{i} of {n}")))
        }
    });
    Ok(Sse::new(events).keep_alive(&alive, Duration::from_secs(15)))
}

#[derive(Deserialize)]
struct Slow {
    ms: Option<u64>,
}

async fn slow(clock: Clock, Query(asked): Query<Slow>) -> Result<String, Problem> {
    let ms = capped("ms", asked.ms.unwrap_or(100), 120_000)?;
    clock.sleep(Duration::from_millis(ms)).await;
    Ok(format!("after {ms} ms\n"))
}

async fn panics() -> &'static str {
    panic!("asked to");
}

/// Any final status; 1xx is none.
async fn status(Path(code): Path<u16>) -> Result<StatusCode, Problem> {
    let status = StatusCode::from_u16(code).ok();
    status
        .filter(|status| status.as_u16() >= 200)
        .ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("{code} is no status from 200 to 999"))
        })
}

/// The request's headers; what is no UTF-8 is shown with replacement characters.
async fn headers(headers: HeaderMap) -> Json<BTreeMap<String, Vec<String>>> {
    let mut seen = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        seen.entry(name.to_string()).or_default().push(value);
    }
    Json(seen)
}

#[derive(Serialize)]
struct Uploaded {
    bytes: u64,
    sha256: String,
}

/// Hashes the body chunk by chunk, so that its size does not matter.
async fn upload(body: Body) -> Result<Json<Uploaded>, Problem> {
    let (mut bytes, mut hash) = (0, Sha256::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        hash.update(&chunk);
    }
    let digest = hash.finalize();
    let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Json(Uploaded { bytes, sha256 }))
}

/// Sends back what comes; from any page, as fast as it comes, messages of up to 64 MiB.
fn ws_echo(upgrade: WebSocketUpgrade, deflate: bool) -> Response {
    upgrade
        .allow_any_origin()
        .config(WS.clone())
        .deflate(deflate)
        .on_upgrade(|mut socket| async move {
            while let Some(message) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        })
}

/// A room: what one says goes to everyone in it. From any page, as fast as it comes; who reads too slowly is closed.
fn ws_room(upgrade: WebSocketUpgrade, hub: &Hub, name: &str) -> Response {
    let Ok(room) = hub.room(name) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    upgrade
        .allow_any_origin()
        .config(WS.clone())
        .on_upgrade(|mut socket| async move {
            if room.join(&socket).await.is_err() {
                return;
            }
            while let Some(message) = socket.recv().await {
                if room.publish(message).is_err() {
                    return;
                }
            }
        })
}

static WS: LazyLock<Arc<ws::Config>> = LazyLock::new(|| {
    Arc::new(ws::Config {
        max_frame: 64 << 20,
        max_message: 64 << 20,
        ..ws::Config::default()
    })
});

/// As long as bytes keep coming.
const PATIENT: TimeoutLimits = TimeoutLimits {
    handler: None,
    total: None,
    body_in: Some(Duration::from_secs(30)),
    body_out: Some(Duration::from_secs(30)),
};

fn routes(app: App, deflate: bool) -> App {
    let mut app = app
        .route("/plaintext", get(plaintext))
        .route("/json", get(json))
        .route("/users/{id}", get(user))
        .route("/echo", post(echo).set(MaxBody(64 << 20)).set(PATIENT))
        .route("/json-echo", post(json_echo))
        .route("/stream", get(chunks))
        .route("/sse", get(events))
        .route("/slow", get(slow))
        .route("/panic", get(panics))
        .route("/status/{code}", get(status))
        .route("/headers", get(headers))
        .route("/upload", post(upload).set(MaxBody(8 << 30)).set(PATIENT))
        .route(
            "/ws/echo",
            get(move |upgrade: WebSocketUpgrade| ws_echo(upgrade, deflate)),
        )
        .route(
            "/ws/room/{name}",
            get(
                |upgrade: WebSocketUpgrade, hub: Hub, Path(name): Path<String>| -> Response {
                    ws_room(upgrade, &hub, &name)
                },
            ),
        )
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz));
    // A router is asked among many, as in a real application.
    for i in app.routes().len()..100 {
        app = app.route(&format!("/area{i}/{{id}}/items/{{item}}"), get(user_item));
    }
    app
}

async fn user_item(Path((id, item)): Path<(u64, u64)>) -> String {
    format!("item {item} of {id}")
}
