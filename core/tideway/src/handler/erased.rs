//! A handler with its types erased: the one place that decides between a call and a box.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use http::StatusCode;

use super::{Callable, Extract, Outcome};
use crate::context::Needs;
use crate::response::IntoResponse;
use crate::routing::{Endpoint, Reply};
use crate::{Problem, Request, Response};

/// `fn` keeps the handler `Send` and `Sync`, whatever its types are.
type Types<Args, M, K> = fn() -> (Args, M, K);

/// A function as an [`Endpoint`].
pub(crate) struct Handler<F, Args, M, K> {
    call: F,
    types: PhantomData<Types<Args, M, K>>,
}

impl<F, Args, M, K> Handler<F, Args, M, K> {
    pub(crate) fn new(call: F) -> Self {
        Self {
            call,
            types: PhantomData,
        }
    }
}

impl<F, Args, M, K> Endpoint for Handler<F, Args, M, K>
where
    F: Callable<Args>,
    Args: Extract<M>,
    F::Output: Outcome<K> + Send + 'static,
    <F::Output as Outcome<K>>::Value: IntoResponse,
    M: 'static,
    K: 'static,
{
    fn call(&self, request: Request) -> Reply {
        if Args::IMMEDIATE {
            let args = match now(Args::extract(request)) {
                Some(Ok(args)) => args,
                Some(Err(rejection)) => return Reply::Now(rejection),
                None => return Reply::Now(broken_word()),
            };
            return match self.call.call(args).split() {
                Ok(value) => Reply::Now(value.into_response()),
                Err(outcome) => Reply::Later(Box::pin(async move {
                    outcome.into_future().await.into_response()
                })),
            };
        }
        let call = self.call.clone();
        Reply::Later(Box::pin(async move {
            match Args::extract(request).await {
                Ok(args) => call.call(args).into_future().await.into_response(),
                Err(rejection) => rejection,
            }
        }))
    }

    fn needs(&self, needs: &mut Needs) {
        Args::needs(needs);
    }
}

/// Polls once.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// An extractor that says `IMMEDIATE` and waits all the same breaks its word.
#[cold]
fn broken_word() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .source("an extractor with `IMMEDIATE = true` waited; set it to `false`")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{FromRequestParts, Json, Path, State};
    use crate::fixture::{answer, block_on, request, text};
    use crate::{Context, Parts};

    fn endpoint<F, Args, M: 'static, K: 'static>(call: F) -> Box<dyn Endpoint>
    where
        F: Callable<Args>,
        Args: Extract<M>,
        F::Output: Outcome<K, Value: IntoResponse> + Send + 'static,
    {
        Box::new(Handler::new(call))
    }

    fn is_now(endpoint: &dyn Endpoint) -> bool {
        matches!(endpoint.call(request("GET", "/")), Reply::Now(_))
    }

    #[test]
    fn a_plain_function_of_head_extractors_costs_no_future() {
        assert!(is_now(&*endpoint(|| "hi")));
        assert!(is_now(&*endpoint(|method: http::Method, _: http::Uri| {
            method.to_string()
        })));
        assert!(is_now(&*endpoint(|request: Request| request
            .parts
            .uri
            .to_string())));
        assert!(!is_now(&*endpoint(async || "hi")));
        assert!(!is_now(&*endpoint(|body: String| body)));
    }

    #[test]
    fn a_rejection_at_hand_costs_no_future_even_of_an_async_handler() {
        let handler = endpoint(async |Path(id): Path<u8>| id.to_string());
        assert!(is_now(&*handler));
        assert_eq!(
            answer(&*handler, request("GET", "/")).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }

    struct Liar;

    impl FromRequestParts for Liar {
        const IMMEDIATE: bool = true;
        type Rejection = Problem;

        async fn from_request_parts(_: &mut Parts, _: &Context) -> Result<Self, Problem> {
            std::future::pending().await
        }
    }

    #[test]
    fn an_extractor_that_waits_against_its_word_is_500() {
        let response = answer(&*endpoint(|_: Liar| "never"), request("GET", "/"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn twelve_arguments_are_taken_in_order() {
        type M = http::Method;
        #[allow(clippy::too_many_arguments, reason = "as many as there can be")]
        async fn all(
            a: M,
            _: M,
            _: M,
            _: M,
            _: M,
            _: M,
            _: M,
            _: M,
            _: M,
            _: M,
            uri: http::Uri,
            body: String,
        ) -> String {
            format!("{a} {uri} {body}")
        }
        let mut asked = request("PUT", "/x");
        asked.body = "text".into();
        assert_eq!(text(answer(&*endpoint(all), asked)), "PUT /x text");
    }

    #[test]
    fn needs_of_all_arguments_are_declared() {
        let handler = endpoint(|_: State<u8>, _: Option<State<u16>>, _: Json<()>| ());
        let mut needs = Needs::default();
        handler.needs(&mut needs);
        let missing = needs.missing(&Context::default());
        let wanted =
            ["u16", "u8"].map(|name| format!("needs a `{name}`; give the app one with `provide`"));
        assert_eq!(missing, wanted);
    }

    #[test]
    fn a_later_answer_is_the_handlers_own() {
        let Reply::Later(future) =
            endpoint(async || StatusCode::IM_A_TEAPOT).call(request("GET", "/"))
        else {
            panic!("an async handler answers later");
        };
        assert_eq!(block_on(future).status(), StatusCode::IM_A_TEAPOT);
    }
}
