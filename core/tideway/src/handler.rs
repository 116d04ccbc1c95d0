//! Handlers: ordinary functions, and what a function must fulfil to be one.
//!
//! A handler is any `fn`, `async fn` or closure with up to twelve extractors as arguments. What it
//! must fulfil is spread over three traits, so that the compiler's message names the culprit:
//! [`Callable`] (is it a function at all?), [`Extract`] (does each argument come from a request?)
//! and [`Outcome`] (is its value a response?).
//!
//! A plain `fn` whose arguments are all at hand (no body) is called on the spot and costs no box;
//! an `async fn` costs exactly one.

use std::future::Future;

use crate::context::Needs;
use crate::extract::{FromRequest, FromRequestParts, ViaParts};
use crate::response::IntoResponse;
use crate::{Request, Response};

mod args;
mod erased;
mod verbs;
mod wrap;

pub(crate) use erased::Handler;
pub use verbs::{any, delete, get, head, on, options, patch, post, put};
pub use wrap::Next;
pub(crate) use wrap::{Around, Layer};

/// A function that can be called with `Args`, a tuple.
///
/// Implemented for every `Fn(A1, …, An) -> R` up to twelve arguments, whatever they are. You never
/// implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    label = "not a function of 0 to 12 arguments",
    note = "a handler is an `fn`, an `async fn` or a closure that is `Clone + Send + Sync + 'static`",
    note = "pass the function itself, without calling it: `get(index)`, not `get(index())`"
)]
pub trait Callable<Args>: Clone + Send + Sync + 'static {
    /// What it returns: a response, or a future of one.
    type Output;

    /// Calls it.
    fn call(&self, args: Args) -> Self::Output;
}

/// Arguments that can be taken from a request.
///
/// Implemented for every tuple whose members are [`FromRequestParts`], the last of which may be
/// [`FromRequest`] instead. You never implement it.
#[diagnostic::on_unimplemented(
    message = "the arguments `{Self}` cannot be taken from a request",
    note = "every argument must be an extractor (`FromRequestParts`); only the last one may read the body (`FromRequest`)"
)]
pub trait Extract<M>: Sized + Send + 'static {
    /// Whether all of them are at hand, without waiting.
    const IMMEDIATE: bool;

    /// Takes them; a rejection comes as its response.
    fn extract(request: Request) -> impl Future<Output = Result<Self, Response>> + Send;

    /// Declares what they need from the application.
    fn needs(needs: &mut Needs);
}

/// What a handler may return: `K` tells a value ([`Ready`]) from a future of one ([`Awaited`]).
///
/// You never implement it; implement [`IntoResponse`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's answer",
    label = "this handler returns `{Self}`",
    note = "a handler returns something that is `IntoResponse`, or a future of it"
)]
pub trait Outcome<K>: Sized {
    /// The value, once it is there.
    type Value;

    /// The value as a future; for [`Ready`] one that is complete at once.
    fn into_future(self) -> impl Future<Output = Self::Value> + Send
    where
        Self: Send;

    /// The value at once, or the future.
    fn split(self) -> Result<Self::Value, Self>;
}

/// Marks a handler that returns its answer at once.
#[derive(Debug)]
pub struct Ready(());

/// Marks a handler that returns a future.
#[derive(Debug)]
pub struct Awaited(());

impl<T: IntoResponse> Outcome<Ready> for T {
    type Value = T;

    fn into_future(self) -> impl Future<Output = T> + Send
    where
        T: Send,
    {
        std::future::ready(self)
    }

    fn split(self) -> Result<T, T> {
        Ok(self)
    }
}

impl<F: Future> Outcome<Awaited> for F {
    type Value = F::Output;

    fn into_future(self) -> impl Future<Output = F::Output> + Send
    where
        F: Send,
    {
        self
    }

    fn split(self) -> Result<F::Output, F> {
        Err(self)
    }
}
