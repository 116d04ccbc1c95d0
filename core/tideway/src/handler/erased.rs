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

/// A function as an [`Endpoint`].
pub(crate) struct Handler<F, Args, M, K> {
    call: F,
    types: PhantomData<fn() -> (Args, M, K)>,
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
                Ok(args) => args,
                Err(rejection) => return Reply::Now(rejection),
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

/// Polls once. An extractor that says `IMMEDIATE` and waits all the same breaks its word: 500.
fn now<T>(future: impl Future<Output = Result<T, Response>>) -> Result<T, Response> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .source("an extractor with `IMMEDIATE = true` waited; set it to `false`")
            .into_response()),
    }
}
