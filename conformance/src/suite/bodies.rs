//! Bodies larger than memory should ever hold, in both directions.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tideway::stages::MaxBody;
use tideway::{App, Body, get, post};
use tideway_driver::Runtime;

use super::claim::{eventually, holds, same};
use super::client::{Client, get as request};
use super::gate::{Count, Gate};
use super::{Harness, Site};

const MIB: usize = 1024 * 1024;

/// How much is uploaded.
const UPLOAD: usize = 256 * MIB;
/// How much more memory the whole process may use meanwhile, client included.
const GROWTH: usize = 64 * MIB;

/// 256 MiB with a length announced.
pub fn an_upload_of_256_mib_takes_constant_memory<R: Runtime>(h: &Harness<R>) {
    upload(
        h,
        &format!("content-length: {UPLOAD}\r\n"),
        |client, piece| client.send(piece),
        b"",
    );
}

/// 256 MiB in chunks.
pub fn a_chunked_upload_of_256_mib_takes_constant_memory<R: Runtime>(h: &Harness<R>) {
    let send = |client: &mut Client, piece: &[u8]| {
        client.send(format!("{:x}\r\n", piece.len()));
        client.send(piece);
        client.send("\r\n");
    };
    upload(h, "transfer-encoding: chunked\r\n", send, b"0\r\n\r\n");
}

fn upload<R: Runtime>(
    h: &Harness<R>,
    framing: &str,
    send: impl Fn(&mut Client, &[u8]),
    last: &[u8],
) {
    let site = h
        .site()
        .serve(|app| app.set(MaxBody(u64::MAX)).route("/", post(sum)));
    let mut client = site.client();
    let mut piece: Vec<u8> = (0..MIB / 4).map(|n| (n * 31 % 251) as u8).collect();
    let before = resident();
    let mut peak = before;
    let mut checksum = Sum::default();
    client.send(format!("POST / HTTP/1.1\r\nhost: suite\r\n{framing}\r\n"));
    for n in 0..UPLOAD / piece.len() {
        piece[0] = n as u8;
        checksum.add(&piece);
        send(&mut client, &piece);
        peak = peak.max(resident());
    }
    client.send(last);
    same(
        client.reply().text(),
        checksum.to_string(),
        "every byte reaches the handler, once and in order",
    );
    let growth = peak.max(resident()).saturating_sub(before);
    h.note(format!("{} MiB more memory", growth / MIB));
    holds(
        growth < GROWTH,
        format!("less than {} MiB more memory", GROWTH / MIB),
        format!("{} MiB", growth / MIB),
        "a body that is buffered whole lets one client take all memory",
    );
}

/// Bytes and an order-dependent sum of them.
#[derive(Default)]
struct Sum {
    bytes: usize,
    sum: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        let add = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        self.sum = bytes.iter().fold(self.sum, add);
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, sum {:x}", self.bytes, self.sum)
    }
}

async fn sum(body: Body) -> String {
    let mut chunks = body.into_data_stream();
    let mut sum = Sum::default();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => sum.add(&chunk),
            Err(error) => return format!("after {sum}: {error}"),
        }
    }
    sum.to_string()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * rustix::param::page_size()
}

/// A stream whose reader reads nothing is asked for no more than the buffers on the way hold.
pub fn a_slow_reader_bounds_what_is_produced<R: Runtime>(h: &Harness<R>) {
    const WHOLE: usize = 64 * MIB;
    /// Our send buffer and the client's receive buffer, as the system grows them, and room to spare.
    const MOST: usize = 16 * MIB;
    let produced = Count::default();
    let site = h.site().serve(|app| flood(app, WHOLE, &produced));
    let mut client = Client::connect_narrow(site.addr(), 64 * 1024);
    client.send(request("/flood"));
    let head = client.head();
    same(
        head.header("transfer-encoding"),
        Some("chunked"),
        "the length is not known",
    );
    let still = settles(&produced);
    h.note(format!("{} KiB produced unread", still / 1024));
    holds(
        still < MOST,
        format!(
            "at most {} MiB produced for a client that does not read",
            MOST / MIB
        ),
        format!("{} MiB", still / MIB),
        "a body that is produced ahead of its reader is buffered in memory",
    );
    let mut body = client.forget();
    let mut tail = Vec::new();
    while !tail.ends_with(b"0\r\n\r\n") {
        match client.fill() {
            Ok(read) if read > 0 => {}
            other => holds(
                false,
                "the rest of the body",
                format!("{other:?}"),
                "it goes on once it is read",
            ),
        }
        let bytes = client.unread();
        tail = bytes[bytes.len().saturating_sub(5)..].to_vec();
        body += client.forget();
    }
    holds(
        body > WHOLE,
        "all of the body",
        format!("{body} bytes"),
        "none of it is lost",
    );
    same(produced.now(), WHOLE, "all of it was produced");
}

/// Waits until nothing is produced any more; returns how much it was.
fn settles(produced: &Count) -> usize {
    let mut last = usize::MAX;
    eventually(
        "the stream is left alone",
        || format!("{} bytes produced and more to come", produced.now()),
        || {
            let before = std::mem::replace(&mut last, produced.now());
            std::thread::sleep(Duration::from_millis(200));
            before == last && last > 0
        },
        "a stream that nobody reads must not be asked for more",
    );
    last
}

/// `GET /flood`: `whole` bytes in pieces of 32 KiB, counted as they are produced.
pub(super) fn flood(app: App, whole: usize, produced: &Count) -> App {
    const PIECE: Bytes = Bytes::from_static(&[b'x'; 32 * 1024]);
    let produced = produced.clone();
    app.route(
        "/flood",
        get(move || {
            let produced = produced.clone();
            let pieces = stream::iter(0..whole / PIECE.len()).map(move |_| {
                produced.add(PIECE.len());
                Ok::<_, std::io::Error>(PIECE)
            });
            std::future::ready(Body::stream(pieces))
        }),
    )
}

/// `Expect: 100-continue` is answered when the handler asks for the body, not before.
pub fn continue_is_sent_when_the_body_is_read<R: Runtime>(h: &Harness<R>) {
    let gate = Gate::new();
    let site = h.site().serve(|app| app.route("/", post(reading(&gate))));
    let mut client = site.client();
    client.send(EXPECTING);
    site.begun(1);
    client.hears_nothing(
        Duration::from_millis(200),
        "100 says that the body is wanted (RFC 9110 §10.1.1), and the handler has not said so yet",
    );
    gate.open();
    same(
        client.head().status,
        100,
        "the handler reads, the client may send",
    );
    client.send("hello");
    same(
        client.reply().text(),
        "hello".into(),
        "what came after the 100 is the body",
    );
    same(
        client.post("/", b"again").text(),
        "again".into(),
        "the connection lives",
    );
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nhost: suite\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";

type Reading = Pin<Box<dyn Future<Output = String> + Send>>;

fn reading(gate: &Gate) -> impl Fn(Body) -> Reading + Clone + Send + Sync + 'static {
    let gate = gate.clone();
    move |body: Body| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.passed().await;
            match body.collect_up_to(100).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => error.to_string(),
            }
        })
    }
}

/// A handler that answers without the body spares the client from sending it.
pub fn no_continue_is_sent_for_a_body_nobody_reads<R: Runtime>(h: &Harness<R>) {
    let site: Site = h.site().serve(|app| app.route("/", post(|| "no need")));
    let mut client = site.client();
    client.send(EXPECTING);
    let reply = client.reply();
    same(
        (reply.status, reply.text().as_str()),
        (200, "no need"),
        "the first answer is the last one (RFC 9110 §10.1.1)",
    );
}
