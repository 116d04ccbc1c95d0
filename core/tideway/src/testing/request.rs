//! A request of a test, in the making.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use serde::Serialize;

use super::{BodyFeed, InFlight, TestApp, TestResponse};
use crate::{Body, Peer, Request};

/// A request to a [`TestApp`]; ends with [`send`](Self::send) or [`start`](Self::start).
///
/// It is HTTP/1.1 from `127.0.0.1:1024` with `Host: localhost` unless told otherwise, and announces
/// the length of a body that is known.
///
/// ```
/// use tideway::{App, extract::Json, post, testing::TestApp};
///
/// let sum = |Json(numbers): Json<Vec<u32>>| async move { numbers.iter().sum::<u32>().to_string() };
/// let mut app = TestApp::new(App::new().route("/sum", post(sum)));
/// app.post("/sum").json(&[1, 2, 3]).send().assert_text("6");
/// ```
///
/// # Panics
///
/// All methods, on what is no header, no target or cannot be serialized.
#[must_use = "a request does nothing until it is sent or started"]
#[derive(Debug)]
pub struct TestRequest<'a> {
    app: &'a mut TestApp,
    method: Method,
    target: String,
    version: Version,
    headers: HeaderMap,
    peer: Peer,
    body: Body,
    feed: Option<BodyFeed>,
    host: bool,
}

impl<'a> TestRequest<'a> {
    pub(super) fn new(app: &'a mut TestApp, method: Method, target: &str) -> Self {
        Self {
            app,
            method,
            target: target.to_owned(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            peer: Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 1024))),
            body: Body::empty(),
            feed: None,
            host: true,
        }
    }

    /// Sets a header, in place of earlier ones of this name.
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .insert(header_name(name), header_value(name, value.as_ref()));
        self
    }

    /// Adds a header beside earlier ones of this name.
    #[track_caller]
    pub fn add_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .append(header_name(name), header_value(name, value.as_ref()));
        self
    }

    /// Leaves a header out, `host` included.
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self.host &= !name.eq_ignore_ascii_case("host");
        self
    }

    /// `Authorization: Bearer <token>`.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Appends `query` to the target, as `application/x-www-form-urlencoded`.
    #[track_caller]
    pub fn query<T: Serialize + ?Sized>(mut self, query: &T) -> Self {
        match serde_html_form::to_string(query) {
            Ok(text) => {
                self.target
                    .push(if self.target.contains('?') { '&' } else { '?' });
                self.target.push_str(&text);
                self
            }
            Err(error) => panic!("the query of {} cannot be written: {error}", self.target),
        }
    }

    /// A JSON body, with its content type.
    #[track_caller]
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.typed("application/json", json.into()),
            Err(error) => panic!("the JSON of {} cannot be written: {error}", self.target),
        }
    }

    /// A form as the body, with its content type.
    #[track_caller]
    pub fn form<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_html_form::to_string(value) {
            Ok(form) => self.typed("application/x-www-form-urlencoded", form.into()),
            Err(error) => panic!("the form of {} cannot be written: {error}", self.target),
        }
    }

    fn typed(mut self, kind: &'static str, bytes: Bytes) -> Self {
        let kind = HeaderValue::from_static(kind);
        self.headers.entry(header::CONTENT_TYPE).or_insert(kind);
        self.body(bytes)
    }

    /// Any body. One of unknown length comes without `Content-Length`.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        (self.body, self.feed) = (body.into(), None);
        self
    }

    /// A body that arrives as `feed` is fed.
    pub fn feed(mut self, feed: &BodyFeed) -> Self {
        (self.body, self.feed) = (feed.body(), Some(feed.clone()));
        self
    }

    /// Who sends it.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// The protocol version. HTTP/2 comes without `Host`.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The request itself, for [`TestApp::start`]; who sends it is said there.
    #[must_use]
    #[track_caller]
    pub fn into_request(self) -> Request {
        self.split().1
    }

    /// Starts it, to be driven step by step.
    #[track_caller]
    pub fn start(self) -> InFlight {
        let feed = self.feed.clone();
        let peer = self.peer;
        let (app, request) = self.split();
        app.start(request, peer).fed_by(feed)
    }

    /// Sends it and runs it to its end, moving time as far as that takes.
    ///
    /// # Panics
    ///
    /// If it stalls, or still runs after a day of virtual time.
    #[track_caller]
    pub fn send(self) -> TestResponse {
        self.start().finish()
    }

    #[track_caller]
    fn split(mut self) -> (&'a mut TestApp, Request) {
        let uri: Uri = match self.target.parse() {
            Ok(uri) => uri,
            Err(error) => panic!("{:?} is no request target: {error}", self.target),
        };
        if self.host && self.version == Version::HTTP_11 {
            let host = HeaderValue::from_static("localhost");
            self.headers.entry(header::HOST).or_insert(host);
        }
        if let Some(length) = self.body.exact_len()
            && length > 0
        {
            self.headers
                .entry(header::CONTENT_LENGTH)
                .or_insert_with(|| length.into());
        }
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = self.method;
        head.uri = uri;
        head.version = self.version;
        head.headers = self.headers;
        (self.app, Request::new(head, self.body))
    }
}

#[track_caller]
fn header_name(name: &str) -> HeaderName {
    match name.parse() {
        Ok(name) => name,
        Err(error) => panic!("{name:?} is no header name: {error}"),
    }
}

#[track_caller]
fn header_value(name: &str, value: &[u8]) -> HeaderValue {
    match HeaderValue::from_bytes(value) {
        Ok(value) => value,
        Err(error) => panic!("the value of {name} is none: {error}"),
    }
}
