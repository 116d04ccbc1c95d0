//! What came back, and assertions about it.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::pipeline::{Abort, End};

/// How much of a body a failed assertion shows, in bytes.
const SHOWN: usize = 2048;

/// A whole response, and how its exchange ended.
///
/// Every `assert_` method returns the response again, and panics with all of it.
///
/// ```
/// use tideway::{App, extract::Json, get, testing::TestApp};
///
/// let note = || Json(serde_json::json!({"title": "first", "tags": ["a"]}));
/// let mut app = TestApp::new(App::new().route("/note", get(note)));
/// app.get("/note")
///     .send()
///     .assert_status(200)
///     .assert_header("content-type", "application/json")
///     .assert_json_path("/tags/0", "a");
/// ```
#[derive(Debug)]
pub struct TestResponse {
    pub(super) line: String,
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) chunks: usize,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) end: End,
    pub(super) elapsed: Duration,
}

impl TestResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// All header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first value of a header; `None` if it is absent or no visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The head as a whole.
    #[must_use]
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// The body, as far as it came: see [`TestResponse::end`].
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// In how many chunks the body came.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// The trailers, if any came.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => self.fail(&format!("the body is not UTF-8: {error}")),
        }
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    ///
    /// If it is none of a `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => self.fail(&format!(
                "the body is no JSON of a `{}`: {error}",
                std::any::type_name::<T>()
            )),
        }
    }

    /// How the exchange ended.
    #[must_use]
    pub fn end(&self) -> &End {
        &self.end
    }

    /// Virtual time from the request's head to the exchange's end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Asserts the status, as a number or a [`StatusCode`].
    #[track_caller]
    pub fn assert_status<S>(&self, status: S) -> &Self
    where
        StatusCode: TryFrom<S>,
    {
        let Ok(status) = StatusCode::try_from(status) else {
            self.fail("the test expects what is no status");
        };
        if self.status() != status {
            self.fail(&format!("the status should be {status}"));
        }
        self
    }

    /// Asserts that a header is there exactly once, with this value.
    #[track_caller]
    pub fn assert_header(&self, name: &str, value: &str) -> &Self {
        let mut values = self.head.headers.get_all(name).iter();
        if values.next().map(|v| v.as_bytes()) != Some(value.as_bytes()) || values.next().is_some()
        {
            self.fail(&format!("the header should be `{name}: {value}`, once"));
        }
        self
    }

    /// Asserts that a header is absent.
    #[track_caller]
    pub fn assert_no_header(&self, name: &str) -> &Self {
        if self.head.headers.contains_key(name) {
            self.fail(&format!("there should be no header `{name}`"));
        }
        self
    }

    /// Asserts the body's text.
    #[track_caller]
    pub fn assert_text(&self, text: &str) -> &Self {
        if self.body != text.as_bytes() {
            self.fail(&format!("the body should be {text:?}"));
        }
        self
    }

    /// Asserts that the body's text contains `part`.
    #[track_caller]
    pub fn assert_contains(&self, part: &str) -> &Self {
        if !self.text().contains(part) {
            self.fail(&format!("the body should contain {part:?}"));
        }
        self
    }

    /// Asserts the body's JSON.
    #[track_caller]
    pub fn assert_json<T: Serialize + ?Sized>(&self, value: &T) -> &Self {
        self.assert_value(&self.json::<Value>(), value, "the body")
    }

    /// Asserts the JSON at `pointer` (RFC 6901), such as `/notes/0/title`.
    #[track_caller]
    pub fn assert_json_path<T: Serialize + ?Sized>(&self, pointer: &str, value: &T) -> &Self {
        let body: Value = self.json();
        match body.pointer(pointer) {
            Some(found) => self.assert_value(found, value, pointer),
            None => self.fail(&format!(
                "there should be something at {pointer:?} of the body"
            )),
        }
    }

    #[track_caller]
    fn assert_value<T: Serialize + ?Sized>(&self, found: &Value, value: &T, at: &str) -> &Self {
        match serde_json::to_value(value) {
            Ok(expected) if *found == expected => self,
            Ok(expected) => self.fail(&format!("{at} should be {expected}, is {found}")),
            Err(error) => self.fail(&format!("the test expects what is no JSON: {error}")),
        }
    }

    /// Asserts a problem document (RFC 9457) of this status whose detail contains `part`.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, part: &str) -> &Self {
        self.assert_status(status);
        self.assert_header("content-type", "application/problem+json");
        self.assert_json_path("/status", &status);
        let body: Value = self.json();
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("");
        if !detail.contains(part) {
            self.fail(&format!("the problem's detail should contain {part:?}"));
        }
        self
    }

    /// Asserts that the last byte was handed over.
    #[track_caller]
    pub fn assert_complete(&self) -> &Self {
        if !matches!(self.end, End::Complete { .. }) {
            self.fail("the exchange should be complete");
        }
        self
    }

    /// Asserts that the exchange was cut, and why.
    #[track_caller]
    pub fn assert_aborted(&self, why: Abort) -> &Self {
        if self.end != End::Aborted(why) {
            self.fail(&format!("the exchange should be aborted: {}", why.reason()));
        }
        self
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let mut report = format!("{what}\n\n> {}\n< {}\n", self.line, self.head.status);
        for (name, value) in &self.head.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let _ = writeln!(report, "< {name}: {value}");
        }
        let shown = &self.body[..self.body.len().min(SHOWN)];
        let _ = writeln!(report, "\n{}", String::from_utf8_lossy(shown));
        if shown.len() < self.body.len() {
            let _ = writeln!(report, "… {} bytes in all", self.body.len());
        }
        panic!("{report}\n{:?} after {:?}", self.end, self.elapsed);
    }
}
