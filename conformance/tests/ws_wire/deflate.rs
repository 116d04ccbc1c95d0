//! 12 and 13 permessage-deflate: what is agreed to for each offer of the list, and messages of all sizes and kinds, whole and
//! in fragments, under it.

use tideway::Rng;
use tideway::ws::Takeover;
use tideway_engine::Seed;
use tideway_engine::ws::{Deflate, DeflateConfig, Encoded, Role};
use tideway_sim::{Link, SimStream};

use crate::case::{Frame, bytes, fragments, read};
use crate::machine::Echo;
use crate::server::with_socket;

const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const NINE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                    server_max_window_bits=9";
const FIFTEEN: &str = "permessage-deflate; server_no_context_takeover; \
                       client_no_context_takeover; server_max_window_bits=15";

/// Offers and our answers to them: 12 is the first; 13.1 to 13.7; then what the list leaves out.
const OFFERS: [(&str, &str, &str); 14] = [
    ("12", "permessage-deflate; client_max_window_bits", PLAIN),
    ("13.1", "permessage-deflate", PLAIN),
    (
        "13.2",
        "permessage-deflate; server_no_context_takeover",
        PLAIN,
    ),
    ("13.3", "permessage-deflate; server_max_window_bits=9", NINE),
    (
        "13.4",
        "permessage-deflate; server_max_window_bits=15",
        FIFTEEN,
    ),
    (
        "13.5",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        NINE,
    ),
    (
        "13.6",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
        FIFTEEN,
    ),
    (
        "13.7",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=9, \
         permessage-deflate; server_no_context_takeover; client_max_window_bits, \
         permessage-deflate; client_max_window_bits",
        NINE,
    ),
    (
        "8 bits, then any",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        PLAIN,
    ),
    (
        "8 bits alone",
        "permessage-deflate; server_max_window_bits=8",
        "",
    ),
    (
        "unknown parameter",
        "permessage-deflate; strength=9, permessage-deflate",
        PLAIN,
    ),
    (
        "twice",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "",
    ),
    (
        "bad value",
        "permessage-deflate; server_max_window_bits=016",
        "",
    ),
    ("another extension", "bzip2, permessage-deflate", PLAIN),
];

/// As the list's data: JSON, an image, a text, a page, a file that is compressed already.
fn data(kind: u32, size: usize, rng: &mut Rng) -> Vec<u8> {
    let mut data: Vec<u8> = match kind {
        0 => (0..size / 20 + 1)
            .flat_map(|n| format!("{{\"id\":{n},\"name\":\"user {}\"}},", n % 7).into_bytes())
            .collect(),
        1 => (0..size)
            .map(|at| (at / 64 % 256) as u8 ^ rng.below(4) as u8)
            .collect(),
        2 => "Habe nun, ach! Philosophie, Juristerei und Medizin, "
            .repeat(size / 50 + 1)
            .into_bytes(),
        3 => "<li class=\"item\"><a href=\"/notes/1\">A note</a></li>\n"
            .repeat(size / 50 + 1)
            .into_bytes(),
        _ => {
            let mut noise = vec![0; size];
            rng.fill(&mut noise);
            noise
        }
    };
    data.truncate(size);
    data
}

/// Sizes and fragments as in the list, but for its largest.
const SIZES: [(usize, usize); 13] = [
    (16, 0),
    (64, 0),
    (256, 0),
    (1024, 0),
    (4096, 0),
    (8192, 0),
    (16_384, 0),
    (65_536, 0),
    (8192, 256),
    (16_384, 256),
    (65_536, 256),
    (65_536, 1024),
    (65_536, 32_768),
];

/// `message` as `sender` compresses it, in fragments of `size` bytes.
fn frames(sender: &mut Echo, message: &[u8], size: usize) -> Vec<Frame> {
    sender.sent.clear();
    let encoded = match std::str::from_utf8(message) {
        Ok(text) => Encoded::text(text),
        Err(_) => Encoded::binary(message),
    };
    sender.conn.send(encoded, &mut sender.codecs).expect("room");
    sender.flush();
    let (mut frames, _) = read(&sender.sent);
    if size > 0 {
        let (first, payload) = frames.pop().expect("a frame");
        frames = fragments(first, &payload, size);
        frames[0].0 |= first & 0x40;
    }
    frames
}

/// The messages of one case, three of a kind.
fn messages(kind: u32, size: usize) -> Vec<Vec<u8>> {
    let rng = &mut Rng::new(&Seed::from_u64(u64::from(kind)));
    (0..3).map(|_| data(kind, size, rng)).collect()
}

pub(crate) fn on_the_machine() {
    let widths = [(15, 15), (9, 15), (15, 9), (9, 9), (12, 10)];
    for takeover in [false, true] {
        for (server_max_window_bits, client_max_window_bits) in widths {
            let config = DeflateConfig {
                takeover,
                server_max_window_bits,
                client_max_window_bits,
            };
            let agreed = Deflate::accept(&Deflate::offer(&config), &config).expect("a list");
            let (agreed, answer) = agreed.expect("it is taken");
            assert_eq!(Deflate::agreed(&answer, &config), Ok(Some(agreed)));
            for role in [Role::Server, Role::Client] {
                for kind in 0..5 {
                    machine(agreed, role, kind);
                }
            }
        }
    }
}

/// One connection for all sizes, so that takeover has something to take over.
fn machine(agreed: Deflate, role: Role, kind: u32) {
    let other = if role == Role::Server {
        Role::Client
    } else {
        Role::Server
    };
    let (mut echo, mut sender) = (
        Echo::new(role, Some(agreed)),
        Echo::new(other, Some(agreed)),
    );
    for (size, part) in SIZES {
        let messages = messages(kind, size);
        for message in &messages {
            let sends = bytes(&frames(&mut sender, message, part), role == Role::Server);
            for piece in sends.chunks(if size > 10_000 { 1300 } else { 7 }) {
                echo.hear(piece, true);
            }
        }
        sender.heard.clear();
        sender.hear(&std::mem::take(&mut echo.sent), false);
        assert!(
            sender.heard == messages,
            "{agreed:?}, {role:?}, {kind}: {size} in {part}"
        );
        assert!(sender.conn.is_open() && echo.conn.is_open());
    }
}

pub(crate) fn on_the_server() {
    for (number, offer, expected) in OFFERS {
        let line = format!("sec-websocket-extensions: {offer}\r\n");
        with_socket(
            Link::perfect(),
            &Takeover::at_most(0),
            &line,
            async |stream, answer| {
                assert_eq!(answer.as_deref().unwrap_or_default(), expected, "{number}");
                let agreed = Deflate::accept(offer, &DeflateConfig::default()).expect("a list");
                for kind in 0..5 {
                    served(stream, agreed.as_ref().map(|(agreed, _)| *agreed), kind).await;
                }
            },
        );
    }
}

/// Under a cap of one: its first socket takes over, and gives the place back.
pub(crate) fn with_takeover_on_the_server() {
    let line = "sec-websocket-extensions: permessage-deflate\r\n";
    let cap = Takeover::at_most(1);
    for _ in 0..2 {
        with_socket(Link::perfect(), &cap, line, async |stream, answer| {
            assert_eq!(answer.as_deref(), Some("permessage-deflate"));
            assert_eq!(cap.sockets(), 1);
            let config = DeflateConfig {
                takeover: true,
                ..DeflateConfig::default()
            };
            let agreed = Deflate::accept("permessage-deflate", &config).expect("a list");
            let agreed = agreed.map(|(agreed, _)| agreed);
            let mut client = Echo::new(Role::Client, agreed);
            for kind in 0..5 {
                converse(stream, &mut client, kind).await;
            }
            let text = vec![data(0, 1000, &mut Rng::new(&Seed::from_u64(1)))];
            let (first, again) = (
                exchange(stream, &mut client, &text, 0).await,
                exchange(stream, &mut client, &text, 0).await,
            );
            assert!(again < 30 && again < first, "{again} bytes after {first}");
        });
        assert_eq!(cap.sockets(), 0, "its server is gone");
    }
    let refuses = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
                   client_no_context_takeover\r\n";
    with_socket(Link::perfect(), &cap, refuses, async |_, answer| {
        assert_eq!(answer.as_deref(), Some(PLAIN));
        assert_eq!(cap.sockets(), 0, "it needs no place");
    });
}

/// All sizes, on one socket.
async fn served(stream: &mut SimStream, agreed: Option<Deflate>, kind: u32) {
    let mut client = Echo::new(Role::Client, agreed);
    converse(stream, &mut client, kind).await;
}

async fn converse(stream: &mut SimStream, client: &mut Echo, kind: u32) {
    for (size, part) in SIZES {
        exchange(stream, client, &messages(kind, size), part).await;
    }
}

/// Sends `messages` in fragments of `part` bytes and has them come back; in how many bytes they did.
async fn exchange(
    stream: &mut SimStream,
    client: &mut Echo,
    messages: &[Vec<u8>],
    part: usize,
) -> usize {
    for message in messages {
        let sends = bytes(&frames(client, message, part), true);
        stream.write_all(&sends).await.expect("it reads");
    }
    client.heard.clear();
    let mut came = 0;
    while client.heard.len() < messages.len() {
        let some = stream.read(64 << 10).await.expect("nothing breaks");
        assert!(!some.is_empty(), "it closed");
        came += some.len();
        client.hear(&some, false);
    }
    assert!(client.heard == messages, "in fragments of {part}");
    came
}
