//! `Result<T, T::Rejection>` and `Option<T>` as extractors.

use super::{FromRequest, FromRequestParts, ViaRequest};
use crate::context::Needs;
use crate::{Context, Parts, Request};

impl<T: FromRequestParts> FromRequestParts for Result<T, T::Rejection> {
    const IMMEDIATE: bool = T::IMMEDIATE;
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, cx: &Context) -> Result<Self, Self::Rejection> {
        Ok(T::from_request_parts(parts, cx).await)
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

impl<T: FromRequest<ViaRequest>> FromRequest<ViaRequest> for Result<T, T::Rejection> {
    const IMMEDIATE: bool = T::IMMEDIATE;
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, cx: &Context) -> Result<Self, Self::Rejection> {
        Ok(T::from_request(request, cx).await)
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

impl<T: FromRequestParts> FromRequestParts for Option<T> {
    const IMMEDIATE: bool = T::IMMEDIATE;
    type Rejection = T::Rejection;

    async fn from_request_parts(parts: &mut Parts, cx: &Context) -> Result<Self, T::Rejection> {
        if T::absent(parts, cx) {
            return Ok(None);
        }
        T::from_request_parts(parts, cx).await.map(Some)
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

impl<T: FromRequest<ViaRequest>> FromRequest<ViaRequest> for Option<T> {
    const IMMEDIATE: bool = T::IMMEDIATE;
    type Rejection = T::Rejection;

    async fn from_request(request: Request, cx: &Context) -> Result<Self, T::Rejection> {
        if T::absent(&request, cx) {
            return Ok(None);
        }
        T::from_request(request, cx).await.map(Some)
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}
