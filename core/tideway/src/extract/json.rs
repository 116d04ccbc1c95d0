//! `Json<T>`: a JSON document, in and out.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::query::BadField;
use super::{FromRequest, body, media};
use crate::response::IntoResponse;
use crate::{Body, BodyError, Context, Problem, Request, Response, spare};

/// A JSON document: as an argument the request's body, as an answer the response's.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tideway::{App, extract::Json, post};
///
/// #[derive(Deserialize, Serialize)]
/// struct Note { text: String }
///
/// async fn echo(Json(note): Json<Note>) -> Json<Note> {
///     Json(note)
/// }
///
/// let app = App::new().route("/echo", post(echo));
/// ```
///
/// As an argument: another content type is answered with 415, what is no JSON with 400 and line and
/// column, what does not fit `T` with 422 and the path of the field, too large a body with 413.
/// Without a body `Option<Json<T>>` is `None`. As an answer: a value that cannot be serialised is
/// answered with 500, and the cause goes to the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequest for Json<T> {
    type Rejection = JsonRejection;

    async fn from_request(mut request: Request, _: &Context) -> Result<Self, JsonRejection> {
        let headers = &request.parts.headers;
        if !media::Media::of(headers).is_some_and(|media| media.is_json()) {
            return Err(JsonRejection::ContentType(media::named(headers).into()));
        }
        spare::keep(&mut request.parts.headers);
        let bytes = body::read(request.body).await?;
        serde_json::from_slice(&bytes)
            .map(Json)
            .map_err(|error| refused::<T>(&bytes, error))
    }

    fn absent(request: &Request, _: &Context) -> bool {
        body::empty(request)
    }
}

/// Says where `error` is. The path is looked for by a second pass, which only a refusal pays.
fn refused<T: DeserializeOwned>(bytes: &[u8], error: serde_json::Error) -> JsonRejection {
    if error.classify() != Category::Data {
        return JsonRejection::Syntax(error);
    }
    let mut again = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut again) {
        Err(found) => JsonRejection::Data(Box::new(BadField::new(found.path(), found.inner()))),
        Ok(_) => JsonRejection::Syntax(error),
    }
}

impl<T> std::ops::Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a JSON body was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonRejection {
    /// The body is not said to be JSON; 415.
    #[error("the request has {0}; send `application/json`")]
    ContentType(Box<str>),
    /// The body is no JSON; 400.
    #[error("the body is not valid JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// The JSON does not fit the handler's type; 422.
    #[error("the document does not fit: {0}")]
    Data(#[source] Box<BadField>),
    /// The body could not be read; 413 or 400.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let text = rejection.to_string();
        match rejection {
            JsonRejection::ContentType(_) => {
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(text)
            }
            JsonRejection::Syntax(error) => Problem::new(StatusCode::BAD_REQUEST)
                .detail(text)
                .member("line", error.line())
                .member("column", error.column()),
            JsonRejection::Data(field) => {
                field.mark(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(text))
            }
            JsonRejection::Body(error) => error.into(),
        }
    }
}

impl IntoResponse for JsonRejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// Most documents fit, and growing copies.
const CAPACITY: usize = 256;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(CAPACITY);
        if let Err(error) = serde_json::to_writer(&mut bytes, &self.0) {
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .source(error)
                .into_response();
        }
        let mut response = Response::new(Body::full(bytes));
        spare::lend(response.headers_mut());
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::fixture::{block_on, request, text};

    #[derive(Deserialize, Serialize, Debug, PartialEq)]
    struct Note {
        text: String,
        tags: Vec<u8>,
    }

    fn json(kind: &'static str, body: impl Into<Body>) -> Result<Note, Problem> {
        let mut request = request("POST", "/");
        request.body = body.into();
        if !kind.is_empty() {
            let kind = HeaderValue::from_static(kind);
            request.parts.headers.insert(header::CONTENT_TYPE, kind);
        }
        block_on(Json::<Note>::from_request(request, &Context::default()))
            .map(|json| json.0)
            .map_err(Problem::from)
    }

    #[test]
    fn each_mistake_has_its_own_status_and_place() {
        for (kind, body, status, says) in [
            ("", "{}", 415, "no Content-Type"),
            ("text/plain", "{}", 415, "text/plain"),
            ("application/json", "{\n  oops", 400, "line 2 column 3"),
            ("application/json", "", 400, "line 1 column 0"),
            (
                "application/json",
                r#"{"text":"a","tags":[]} x"#,
                400,
                "trailing",
            ),
            (
                "application/json",
                r#"{"text":"a","tags":[1,"b"]}"#,
                422,
                "`tags[1]`",
            ),
            (
                "application/json",
                r#"{"text":"a"}"#,
                422,
                "missing field `tags`",
            ),
        ] {
            let problem = json(kind, body).unwrap_err();
            assert_eq!(problem.status().as_u16(), status, "{body}");
            assert!(problem.to_string().contains(says), "{problem}");
        }
    }

    #[test]
    fn what_cannot_be_serialised_is_500_whatever_status_was_meant() {
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        let response = (StatusCode::CREATED, Json(odd)).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    proptest! {
        #[test]
        fn a_document_comes_back_as_it_was_sent(text in "\\PC*", tags in any::<Vec<u8>>()) {
            let note = Note { text: text.clone(), tags };
            let response = Json(&note).into_response();
            let body = response.into_body();
            prop_assert_eq!(json("application/json", body).ok(), Some(note));
        }
    }

    #[test]
    fn the_answer_names_its_type() {
        let response = Json([1, 2]).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(text(response), "[1,2]");
    }
}
