//! Errors as people and programs read them: RFC 9457 problem documents, and caught panics.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{HeaderValue, StatusCode, header};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{Body, Response};

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error answer: `application/problem+json` (RFC 9457).
///
/// Every rejection of Tideway is one; a handler returns its own with `?`. The request id is added
/// as the member `request_id` when the response leaves the pipeline.
///
/// ```
/// use tideway::{Problem, http::StatusCode};
/// let problem = Problem::new(StatusCode::NOT_FOUND).detail("no note 7; list them at /notes");
/// assert_eq!(problem.status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    kind: Option<Cow<'static, str>>,
    title: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    members: serde_json::Map<String, serde_json::Value>,
    source: Option<BoxError>,
}

impl Problem {
    /// A problem titled by the status' reason phrase.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(Inner {
            status,
            kind: None,
            title: None,
            detail: Cow::Borrowed(""),
            members: serde_json::Map::new(),
            source: None,
        }))
    }

    /// A failure of ours: 500, its cause in the log and not in the answer.
    #[must_use]
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR).source(source)
    }

    /// A URI that names the kind of problem; `about:blank` when unset.
    #[must_use]
    pub fn kind(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = Some(uri.into());
        self
    }

    /// A short sentence, the same for every problem of this kind.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// What was wrong this time, where, and what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// An extension member (RFC 9457 §3.2), such as a list of invalid fields.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// The cause: logged with the request, never sent.
    #[must_use]
    pub fn source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The status it answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The response, without a request id.
    #[must_use]
    pub fn into_response(self) -> Response {
        let status = self.0.status;
        let mut response = Response::new(Body::full(self.to_json(None)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
            .extensions_mut()
            .insert(Unstamped(std::sync::Arc::new(self)));
        response
    }

    /// The document, members in the RFC's order; `id` becomes the member `request_id`.
    #[must_use]
    pub fn to_json(&self, id: Option<&str>) -> String {
        let document = Document {
            problem: &self.0,
            id,
        };
        // Strings and JSON values only, which always serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

struct Document<'a> {
    problem: &'a Inner,
    id: Option<&'a str>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Inner {
            status,
            kind,
            title,
            detail,
            members,
            ..
        } = self.problem;
        let reason = status.canonical_reason().unwrap_or("Error");
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind.as_deref().unwrap_or("about:blank"))?;
        map.serialize_entry("title", title.as_deref().unwrap_or(reason))?;
        map.serialize_entry("status", &status.as_u16())?;
        if !detail.is_empty() {
            map.serialize_entry("detail", detail)?;
        }
        // An extension member never replaces a standard one.
        let own = ["type", "title", "status", "detail", "request_id"];
        for (name, value) in members
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()))
        {
            map.serialize_entry(name, value)?;
        }
        if let Some(id) = self.id {
            map.serialize_entry("request_id", id)?;
        }
        map.end()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.status)?;
        if !self.0.detail.is_empty() {
            write!(f, ": {}", self.0.detail)?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

/// Rides in a response's extensions until the pipeline has put the request id into the document
/// and the cause into the log.
#[derive(Clone)]
pub(crate) struct Unstamped(pub(crate) std::sync::Arc<Problem>);

/// A caught panic; its message goes to the log only.
#[derive(Debug, Clone, thiserror::Error)]
#[error("panicked: {message}")]
pub struct Panicked {
    message: Cow<'static, str>,
}

impl Panicked {
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Cow::Borrowed(*text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Cow::Owned(text.clone())
        } else {
            Cow::Borrowed("a value that is no string")
        };
        Self { message }
    }
}

/// Runs `call` and turns a panic into a value. State that a panic could tear is dropped by every
/// caller, which is what makes the assertion sound.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked::new(&*payload))
}
