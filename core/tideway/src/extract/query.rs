//! `Query<T>`: the query string as any type serde can build.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::FromRequestParts;
use crate::response::IntoResponse;
use crate::{Context, Parts, Problem, Response};

/// The query string (`application/x-www-form-urlencoded`; a repeated name fills a `Vec`).
///
/// ```
/// use serde::Deserialize;
/// use tideway::{App, extract::Query, get};
///
/// #[derive(Deserialize)]
/// struct Search { q: String, page: Option<u32> }
///
/// async fn search(Query(search): Query<Search>) -> String {
///     format!("{} on page {}", search.q, search.page.unwrap_or(1))
/// }
///
/// let app = App::new().route("/search", get(search));
/// ```
///
/// A string that does not fit is answered with 400, naming the field. Without a query string
/// `Option<Query<T>>` is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts for Query<T> {
    const IMMEDIATE: bool = true;
    type Rejection = QueryRejection;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, QueryRejection> {
        let query = parts.uri.query().unwrap_or("");
        fields(query.as_bytes())
            .map(Query)
            .map_err(QueryRejection::Fields)
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        parts.uri.query().is_none_or(str::is_empty)
    }
}

impl<T> std::ops::Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why the query string did not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryRejection {
    /// A field is missing or has a value of the wrong kind; 400.
    #[error("the query string does not fit: {0}")]
    Fields(#[source] BadField),
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let problem = Problem::new(StatusCode::BAD_REQUEST).detail(rejection.to_string());
        match rejection {
            QueryRejection::Fields(field) => field.mark(problem),
        }
    }
}

impl IntoResponse for QueryRejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// A field of a form or document that is missing or of the wrong kind.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
#[non_exhaustive]
pub struct BadField {
    /// Where it stands, such as `address.street` or `tags[2]`; empty for the whole.
    pub path: Box<str>,
    /// What is wrong with it.
    pub message: Box<str>,
}

impl BadField {
    pub(super) fn new(path: &serde_path_to_error::Path, message: &dyn std::fmt::Display) -> Self {
        let path = path.to_string();
        let known = path != "." && path != "?";
        Self {
            path: if known {
                crate::routing::cut(&path).into()
            } else {
                "".into()
            },
            message: crate::routing::cut(&plain(message.to_string())).into(),
        }
    }

    fn text(&self) -> String {
        if self.path.is_empty() {
            self.message.to_string()
        } else {
            format!("field `{}`: {}", self.path, self.message)
        }
    }

    /// The problem with this field as the member `field`.
    pub(super) fn mark(self, problem: Problem) -> Problem {
        if self.path.is_empty() {
            problem
        } else {
            problem.member("field", String::from(self.path))
        }
    }
}

/// serde says "a nonzero u32", which is Rust and not English.
fn plain(message: String) -> String {
    let Some((before, kind)) = message.split_once("expected a nonzero ") else {
        return message;
    };
    let wanted = match kind.as_bytes().first() {
        Some(b'u') => "a whole number from 1 up",
        _ => "a whole number other than 0",
    };
    let after = kind.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    format!("{before}expected {wanted}{after}")
}

/// A form's fields as `T`. The path is looked for only once it is known that something is wrong.
pub(super) fn fields<T: DeserializeOwned>(form: &[u8]) -> Result<T, BadField> {
    serde_html_form::from_bytes(form).map_err(|error| {
        let again = serde_html_form::Deserializer::from_bytes(form);
        match serde_path_to_error::deserialize::<_, T>(again) {
            Err(error) => BadField::new(error.path(), error.inner()),
            Ok(_) => BadField {
                path: "".into(),
                message: error.to_string().into(),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::fixture::{block_on, request};

    #[derive(Deserialize, Debug, PartialEq)]
    struct Search {
        q: String,
        page: Option<u32>,
        #[serde(default)]
        tag: Vec<String>,
    }

    fn query(uri: &str) -> Result<Search, Problem> {
        let mut request = request("GET", uri);
        let got = block_on(Query::<Search>::from_request_parts(
            &mut request.parts,
            &Context::default(),
        ));
        got.map(|query| query.0).map_err(Problem::from)
    }

    #[test]
    fn fields_are_decoded_and_repeated_ones_collected() {
        let search = Search {
            q: "a b&c".to_owned(),
            page: Some(2),
            tag: vec!["x".to_owned(), "y".to_owned()],
        };
        assert_eq!(query("/?q=a+b%26c&page=2&tag=x&tag=y").ok(), Some(search));
    }

    #[test]
    fn an_error_names_the_field_and_is_400() {
        for (uri, field) in [
            ("/?q=a&page=two", "page"),
            ("/", "`q`"),
            ("/?q=a&page=-1", "page"),
        ] {
            let problem = query(uri).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            assert!(problem.to_string().contains(field), "{problem}");
        }
    }

    #[test]
    fn a_zero_that_may_not_be_is_named_in_words() {
        #[derive(Deserialize, Debug)]
        #[expect(dead_code, reason = "only their types matter")]
        struct Ask {
            page: Option<std::num::NonZero<u32>>,
            step: Option<std::num::NonZero<i8>>,
        }
        for (form, text) in [
            (
                "page=0",
                "field `page`: invalid value: integer `0`, expected a whole number from 1 up",
            ),
            (
                "step=0",
                "field `step`: invalid value: integer `0`, expected a whole number other than 0",
            ),
        ] {
            let error = fields::<Ask>(form.as_bytes()).expect_err("it is 0");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn an_optional_query_is_none_only_without_a_query_string() {
        let cx = Context::default();
        let mut parts = request("GET", "/?").parts;
        let none = block_on(Option::<Query<Search>>::from_request_parts(&mut parts, &cx));
        assert!(matches!(none, Ok(None)));
        let mut parts = request("GET", "/?page=x").parts;
        assert!(block_on(Option::<Query<Search>>::from_request_parts(&mut parts, &cx)).is_err());
    }
}
