//! `Path<T>`: the path parameters as any type serde can build.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::FromRequestParts;
use crate::response::IntoResponse;
use crate::{Context, Parts, Problem, Response};

mod de;
mod value;

/// The parameters of the route's pattern, percent-decoded after matching: a single value, a tuple
/// in the order of the pattern, a struct or a map by name.
///
/// ```
/// use serde::Deserialize;
/// use tideway::{App, extract::Path, get};
///
/// async fn user(Path(id): Path<u32>) -> String {
///     format!("user {id}")
/// }
///
/// #[derive(Deserialize)]
/// struct Place { team: String, seat: u8 }
///
/// async fn seat(Path(Place { team, seat }): Path<Place>) -> String {
///     format!("seat {seat} of {team}")
/// }
///
/// let app = App::new()
///     .route("/users/{id}", get(user))
///     .route("/teams/{team}/seats/{seat}", get(seat));
/// ```
///
/// A value that does not fit is answered with 400, naming parameter, value and expected type. A
/// `T` that does not fit the pattern is the program's mistake: 500, with the cause in the log.
/// Integers are digits with an optional `-`, never `+`; floats are finite. Without any parameter
/// `Option<Path<T>>` is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts for Path<T> {
    const IMMEDIATE: bool = true;
    type Rejection = PathRejection;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, PathRejection> {
        let parameters = de::Parameters {
            params: &parts.params,
            path: parts.uri.path(),
        };
        T::deserialize(parameters)
            .map(Path)
            // A type may read the one value as text and refuse it only then, when no value is at hand.
            .map_err(|error| PathRejection::from(parameters.blamed(error)))
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        parts.params.is_empty()
    }
}

impl<T> std::ops::Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why the path parameters did not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathRejection {
    /// A value is not what the handler takes; 400.
    #[error("path parameter `{}`: {:?} is not accepted; expected {}", .0.name, .0.value, .0.expected)]
    Value(Box<BadValue>),
    /// The percent-decoded bytes of this parameter are not UTF-8; 400.
    #[error("path parameter `{0}` is not UTF-8 once percent-decoded")]
    Utf8(Box<str>),
    /// The handler's type does not fit the route's pattern; 500.
    #[error("`Path` does not fit the route: {0}")]
    Mismatch(Box<str>),
}

/// A path parameter that is not what the handler takes.
#[derive(Debug)]
#[non_exhaustive]
pub struct BadValue {
    /// The parameter's name in the pattern.
    pub name: String,
    /// What was sent, decoded and cut to 256 bytes.
    pub value: String,
    /// What the handler takes.
    pub expected: String,
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        match rejection {
            PathRejection::Mismatch(_) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR).source(rejection)
            }
            PathRejection::Value(_) | PathRejection::Utf8(_) => {
                Problem::new(StatusCode::BAD_REQUEST).detail(rejection.to_string())
            }
        }
    }
}

impl IntoResponse for PathRejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::fixture::{block_on, routed};

    fn path<T: DeserializeOwned + Send + 'static>(pattern: &str, uri: &str) -> Result<T, String> {
        let mut request = routed(pattern, uri);
        block_on(Path::<T>::from_request_parts(
            &mut request.parts,
            &Context::default(),
        ))
        .map(|path| path.0)
        .map_err(|error| format!("{} {error}", error_status(&error)))
    }

    fn error_status(error: &PathRejection) -> u16 {
        match error {
            PathRejection::Mismatch(_) => 500,
            _ => 400,
        }
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Place {
        team: String,
        seat: u8,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[test]
    fn every_shape_of_type_is_built() {
        assert_eq!(path("/u/{id}", "/u/7"), Ok(7_u32));
        assert_eq!(path("/u/{id}", "/u/a%20b"), Ok("a b".to_owned()));
        assert_eq!(path("/u/{id}", "/u/7"), Ok((7_u32,)));
        assert_eq!(path("/{a}/{b}", "/x/-2"), Ok(("x".to_owned(), -2_i8)));
        assert_eq!(
            path("/{a}/{b}", "/x/y"),
            Ok(vec!["x".to_owned(), "y".to_owned()])
        );
        let place = Place {
            team: "a/b".to_owned(),
            seat: 3,
        };
        assert_eq!(path("/{seat}/{team}", "/3/a%2Fb"), Ok(place));
        let map = BTreeMap::from([("k".to_owned(), 1_u8)]);
        assert_eq!(path("/{k}", "/1"), Ok(map));
        assert_eq!(path("/{k}", "/red"), Ok(Colour::Red));
        assert_eq!(path("/{k}", "/true"), Ok(Some(true)));
        assert_eq!(path("/{*rest}", "/a/b%20c"), Ok("a/b c".to_owned()));
        assert_eq!(
            path("/{a}/{b}/{c}/{d}/{e}", "/1/2/3/4/5"),
            Ok([1_u8, 2, 3, 4, 5])
        );
    }

    #[test]
    fn an_error_names_parameter_value_and_expected_type() {
        let error = path::<u32>("/u/{id}", "/u/5%20apples").unwrap_err();
        assert_eq!(
            error,
            "400 path parameter `id`: \"5 apples\" is not accepted; expected u32"
        );
        let error = path::<Place>("/{team}/{seat}", "/a/256").unwrap_err();
        assert_eq!(
            error,
            "400 path parameter `seat`: \"256\" is not accepted; expected u8"
        );
        let error = path::<Colour>("/{c}", "/blue").unwrap_err();
        assert!(
            error.starts_with("400 path parameter `c`: \"blue\""),
            "{error}"
        );
        assert!(error.contains("red"), "{error}");
        assert!(
            path::<String>("/{c}", "/%ff")
                .unwrap_err()
                .starts_with("400 path parameter `c`")
        );
        for odd in ["+1", "1.0", "0x1", "%201", "1%20", "%D9%A1"] {
            assert!(path::<i32>("/{c}", &format!("/{odd}")).is_err(), "{odd}");
        }
        assert!(path::<f64>("/{c}", "/NaN").is_err());
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(try_from = "String")]
    struct Even(u8);

    impl TryFrom<String> for Even {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            let number = text.parse().ok().filter(|number| number % 2 == 0);
            number.map(Even).ok_or("an even number")
        }
    }

    #[test]
    fn a_value_that_a_type_refuses_after_it_was_read_is_the_clients_mistake() {
        assert_eq!(path("/{n}", "/8"), Ok(Even(8)));
        let says =
            "400 path parameter `n`: \"7\" is not accepted; expected another value: an even number";
        assert_eq!(path::<Even>("/{n}", "/7").unwrap_err(), says);
        let says = says.replace("`n`", "`m`");
        assert_eq!(path::<(u8, Even)>("/{n}/{m}", "/1/7").unwrap_err(), says);
        assert!(
            path::<Even>("/{n}/{m}", "/8/8")
                .unwrap_err()
                .starts_with("500")
        );
    }

    #[test]
    fn a_type_that_does_not_fit_the_route_is_our_own_mistake() {
        for error in [
            path::<(u8, u8)>("/{a}", "/1").unwrap_err(),
            path::<(u8,)>("/{a}/{b}", "/1/2").unwrap_err(),
            path::<u8>("/{a}/{b}", "/1/2").unwrap_err(),
            path::<u8>("/a", "/a").unwrap_err(),
            path::<Place>("/{team}", "/x").unwrap_err(),
            path::<Vec<(u8, u8, u8)>>("/{a}", "/1").unwrap_err(),
        ] {
            assert!(error.starts_with("500"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_was_percent_encoded_comes_back(text in "\\PC{1,40}", tail in any::<i64>()) {
            let raw = utf8_percent_encode(&text, NON_ALPHANUMERIC);
            let got = path::<(String, i64)>("/{a}/x/{b}", &format!("/{raw}/x/{tail}"));
            prop_assert_eq!(got, Ok((text, tail)));
        }
    }
}
