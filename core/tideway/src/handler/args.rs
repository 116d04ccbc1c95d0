//! `Callable` and `Extract` for 0 to 12 arguments.

use std::sync::LazyLock;

use super::{Callable, Extract, FromRequest, FromRequestParts, IntoResponse, Needs, Request};
use super::{Response, ViaParts};
use crate::{Context, spare};

/// What a request that was never routed has instead of an application's services.
static NO_SERVICES: LazyLock<Context> = LazyLock::new(Context::default);

impl<F, R> Callable<()> for F
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
{
    type Output = R;

    fn call(&self, (): ()) -> R {
        self()
    }
}

impl Extract<ViaParts> for () {
    const IMMEDIATE: bool = true;

    async fn extract(mut request: Request) -> Result<Self, Response> {
        spare::keep(&mut request.parts.headers);
        Ok(())
    }

    fn needs(_: &mut Needs) {}
}

macro_rules! arguments {
    ($($arg:ident)* ; $last:ident) => {
        impl<F, R, $($arg,)* $last> Callable<($($arg,)* $last,)> for F
        where
            F: Fn($($arg,)* $last) -> R + Clone + Send + Sync + 'static,
        {
            type Output = R;

            #[allow(non_snake_case, reason = "each value is named after its type parameter")]
            fn call(&self, ($($arg,)* $last,): ($($arg,)* $last,)) -> R {
                self($($arg,)* $last)
            }
        }

        impl<M, $($arg,)* $last> Extract<M> for ($($arg,)* $last,)
        where
            $($arg: FromRequestParts,)*
            $last: FromRequest<M>,
        {
            const IMMEDIATE: bool = $($arg::IMMEDIATE &&)* $last::IMMEDIATE;

            #[allow(non_snake_case, reason = "each value is named after its type parameter")]
            #[allow(unused_mut, reason = "a single argument takes the request whole")]
            async fn extract(mut request: Request) -> Result<Self, Response> {
                let origin = request.parts.origin.clone();
                let cx = origin.as_ref().map_or(&*NO_SERVICES, |o| o.pipeline().context());
                $(
                    let $arg = match $arg::from_request_parts(&mut request.parts, cx).await {
                        Ok(value) => value,
                        Err(rejection) => return Err(rejection.into_response()),
                    };
                )*
                match $last::from_request(request, cx).await {
                    Ok($last) => Ok(($($arg,)* $last,)),
                    Err(rejection) => Err(rejection.into_response()),
                }
            }

            fn needs(needs: &mut Needs) {
                $($arg::needs(needs);)*
                $last::needs(needs);
            }
        }
    };
}

arguments!(; A);
arguments!(A; B);
arguments!(A B; C);
arguments!(A B C; D);
arguments!(A B C D; E);
arguments!(A B C D E; G);
arguments!(A B C D E G; H);
arguments!(A B C D E G H; I);
arguments!(A B C D E G H I; J);
arguments!(A B C D E G H I J; K);
arguments!(A B C D E G H I J K; L);
arguments!(A B C D E G H I J K L; N);
