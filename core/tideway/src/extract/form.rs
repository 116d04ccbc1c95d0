//! `Form<T>`: an HTML form, from the body or, for GET and HEAD, from the query string.

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::query::{BadField, fields};
use super::{FromRequest, body, media};
use crate::response::IntoResponse;
use crate::{BodyError, Context, Problem, Request, Response};

/// The fields of a form (`application/x-www-form-urlencoded`).
///
/// ```
/// use serde::Deserialize;
/// use tideway::{App, extract::Form, post};
///
/// #[derive(Deserialize)]
/// struct Login { user: String, password: String }
///
/// async fn login(Form(login): Form<Login>) -> String {
///     format!("hello {}", login.user)
/// }
///
/// let app = App::new().route("/login", post(login));
/// ```
///
/// Another content type is answered with 415, a missing or wrong field with 422 and its name, too
/// large a body with 413. Without a body (or, for GET, a query string) `Option<Form<T>>` is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form<T>(pub T);

fn from_query(request: &Request) -> bool {
    request.parts.method == Method::GET || request.parts.method == Method::HEAD
}

impl<T: DeserializeOwned + Send + 'static> FromRequest for Form<T> {
    type Rejection = FormRejection;

    async fn from_request(request: Request, _: &Context) -> Result<Self, FormRejection> {
        if from_query(&request) {
            let query = request.parts.uri.query().unwrap_or("");
            return Ok(Form(fields(query.as_bytes())?));
        }
        let headers = &request.parts.headers;
        if !media::Media::of(headers).is_some_and(|m| m.is("application/x-www-form-urlencoded")) {
            return Err(FormRejection::ContentType(media::named(headers).into()));
        }
        let bytes = body::read(request.body).await?;
        Ok(Form(fields(&bytes)?))
    }

    fn absent(request: &Request, _: &Context) -> bool {
        if from_query(request) {
            request.parts.uri.query().is_none_or(str::is_empty)
        } else {
            body::empty(request)
        }
    }
}

impl<T> std::ops::Deref for Form<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why the form was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormRejection {
    /// The body is no form; 415.
    #[error("the request has {0}; send `application/x-www-form-urlencoded`")]
    ContentType(Box<str>),
    /// A field is missing or has a value of the wrong kind; 422.
    #[error("the form does not fit: {0}")]
    Fields(#[source] Box<BadField>),
    /// The body could not be read; 413 or 400.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl From<BadField> for FormRejection {
    fn from(field: BadField) -> Self {
        Self::Fields(Box::new(field))
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
        let text = rejection.to_string();
        match rejection {
            FormRejection::ContentType(_) => {
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(text)
            }
            FormRejection::Fields(field) => {
                field.mark(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(text))
            }
            FormRejection::Body(error) => error.into(),
        }
    }
}

impl IntoResponse for FormRejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;
    use crate::Body;
    use crate::fixture::{block_on, request};

    type Age = std::collections::BTreeMap<String, u8>;

    fn form(method: &str, uri: &str, kind: &'static str, body: &'static str) -> Result<Age, u16> {
        let mut request = request(method, uri);
        request.body = Body::from(body);
        let kind = HeaderValue::from_static(kind);
        request.parts.headers.insert(header::CONTENT_TYPE, kind);
        block_on(Form::<Age>::from_request(request, &Context::default()))
            .map(|form| form.0)
            .map_err(|rejection| rejection.into_response().status().as_u16())
    }

    #[test]
    fn a_wrong_type_is_415_and_a_wrong_field_is_422() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let ann = Age::from([("ann".to_owned(), 7)]);
        assert_eq!(form("POST", "/", FORM, "ann=7"), Ok(ann.clone()));
        assert_eq!(form("POST", "/", "application/json", "ann=7"), Err(415));
        assert_eq!(form("POST", "/", FORM, "ann=300"), Err(422));
        assert_eq!(form("GET", "/?ann=7", "text/plain", ""), Ok(ann));
        assert_eq!(form("GET", "/?ann=x", "text/plain", ""), Err(422));
    }
}
