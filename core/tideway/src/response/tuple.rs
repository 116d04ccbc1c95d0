//! Tuples as responses: an optional status, parts, a body.

use http::StatusCode;

use super::{IntoResponse, IntoResponseParts, ResponseParts};
use crate::Response;
use crate::error::Unstamped;

/// Gives `response` this status, unless it is a problem: that one's document names its own.
fn with_status(status: StatusCode, mut response: Response) -> Response {
    if response.extensions().get::<Unstamped>().is_none() {
        *response.status_mut() = status;
    }
    response
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        with_status(self.0, self.1.into_response())
    }
}

macro_rules! tuples {
    ($($part:ident)*) => {
        impl<R: IntoResponse, $($part: IntoResponseParts,)*> IntoResponse for ($($part,)* R,) {
            #[allow(non_snake_case, reason = "each value is named after its type parameter")]
            fn into_response(self) -> Response {
                let ($($part,)* body,) = self;
                let parts = ResponseParts { response: body.into_response() };
                $(
                    let parts = match $part.into_response_parts(parts) {
                        Ok(parts) => parts,
                        Err(error) => return error.into_response(),
                    };
                )*
                parts.response
            }
        }

        impl<R: IntoResponse, $($part: IntoResponseParts,)*> IntoResponse
            for (StatusCode, $($part,)* R,)
        {
            #[allow(non_snake_case, reason = "each value is named after its type parameter")]
            fn into_response(self) -> Response {
                let (status, $($part,)* body,) = self;
                with_status(status, ($($part,)* body,).into_response())
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    #[test]
    fn a_tuple_sets_status_headers_and_body() {
        let response = (
            StatusCode::IM_A_TEAPOT,
            [("x-a", "1")],
            Some([("x-b", "2")]),
            "tea",
        );
        let response = response.into_response();
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers()["x-a"], "1");
        assert_eq!(response.headers()["x-b"], "2");
    }

    #[test]
    fn the_status_of_a_problem_is_never_changed() {
        let problem: Result<&str, Problem> = Err(Problem::new(StatusCode::CONFLICT));
        let response = (StatusCode::CREATED, [("x-a", "1")], problem).into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
    }

    #[test]
    fn a_bad_header_is_500_whatever_status_was_meant() {
        let response = (StatusCode::CREATED, [("x a", "1")], "body").into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
