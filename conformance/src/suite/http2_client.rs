//! A small HTTP/2 client on the `h2` crate, in a tokio of its own: whatever runtime is under test,
//! this is not it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use hyper::http::{Method, Request, response};

use super::claim::{LIMIT, fail};
use super::receives;
use super::reply::Reply;

/// One HTTP/2 connection.
#[derive(Clone, Debug)]
pub struct Http2(SendRequest<Bytes>);

/// Connects with prior knowledge and runs `talk`, for at most [`LIMIT`].
///
/// # Panics
///
/// If `talk` does, or takes longer.
#[track_caller]
pub fn on_http2<T>(addr: SocketAddr, talk: impl AsyncFnOnce(Http2) -> T) -> T {
    receives::exclude_this_thread();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .build()
        .expect("a runtime for the client");
    let talked = runtime.block_on(async {
        tokio::time::timeout(LIMIT, async {
            let stream = tokio::net::TcpStream::connect(addr)
                .await
                .map_err(|e| e.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|error| error.to_string())?;
            // One stream that is not read must not use up the connection's window.
            let shake = h2::client::Builder::new()
                .initial_connection_window_size(1 << 20)
                .handshake(stream)
                .await;
            let (send, connection) = shake.map_err(|error| error.to_string())?;
            // It ends when the last handle to it does.
            tokio::spawn(async move {
                let _ = connection.await;
            });
            Ok::<_, String>(talk(Http2(send)).await)
        })
        .await
    });
    match talked {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => fail(
            "an HTTP/2 connection",
            error,
            "the preface alone tells HTTP/2 from HTTP/1 (RFC 9113 §3.3)",
        ),
        Err(_) => fail(
            format!("an HTTP/2 conversation of less than {LIMIT:?}"),
            "it is still going on",
            "a stream must not wait for ever",
        ),
    }
}

impl Http2 {
    /// Sends a GET; the response is to be awaited.
    pub async fn send(&mut self, path: &str) -> ResponseFuture {
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("http://suite{path}"));
        let request = request.body(()).expect("a well-formed request");
        let mut ready = match self.0.clone().ready().await {
            Ok(ready) => ready,
            Err(error) => broken(&error),
        };
        match ready.send_request(request, true) {
            Ok((response, _)) => response,
            Err(error) => broken(&error),
        }
    }

    /// Asks for a stream of another protocol by extended CONNECT (RFC 8441); the head of the answer, and both halves.
    pub async fn tunnel(
        &mut self,
        protocol: &'static str,
        path: &str,
    ) -> (response::Parts, SendStream<Bytes>, RecvStream) {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://suite{path}"))
            .extension(Protocol::from_static(protocol))
            .header("sec-websocket-version", "13")
            .header("origin", "http://suite");
        let request = request.body(()).expect("a well-formed request");
        // RFC 8441 §3: not before the server has said that it can.
        while !self.0.is_extended_connect_protocol_enabled() {
            pause(Duration::from_millis(1)).await;
        }
        let mut ready = match self.0.clone().ready().await {
            Ok(ready) => ready,
            Err(error) => broken(&error),
        };
        let (response, send) = match ready.send_request(request, false) {
            Ok(sent) => sent,
            Err(error) => broken(&error),
        };
        match response.await {
            Ok(response) => {
                let (head, receive) = response.into_parts();
                (head, send, receive)
            }
            Err(error) => broken(&error),
        }
    }

    /// Sends a GET and waits for the head of the answer.
    pub async fn open(&mut self, path: &str) -> (response::Parts, RecvStream) {
        match self.send(path).await.await {
            Ok(response) => response.into_parts(),
            Err(error) => broken(&error),
        }
    }

    /// Sends a GET and reads the whole answer.
    pub async fn get(&mut self, path: &str) -> Reply {
        let (head, body) = self.open(path).await;
        whole(head, body).await
    }
}

/// Reads the rest of an answer, giving back window as it goes.
pub async fn whole(head: response::Parts, mut body: RecvStream) -> Reply {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
                bytes.extend_from_slice(&data);
            }
            Err(error) => broken(&error),
        }
    }
    let fields = head.headers.iter();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Reply {
        status: head.status.as_u16(),
        headers: fields
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: bytes,
    }
}

/// Waits, on the client's side.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[track_caller]
fn broken(error: &h2::Error) -> ! {
    fail(
        "a stream that works",
        error.to_string(),
        "nothing was wrong with the request",
    )
}
