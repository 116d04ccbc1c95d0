//! The head of a request as extractors: `Method`, `Uri`, `Version`, `HeaderMap`. None of them fails.

use std::convert::Infallible;

use http::{HeaderMap, Method, Uri, Version};

use super::FromRequestParts;
use crate::{Context, Parts};

macro_rules! head {
    ($($type:ty: $field:ident,)*) => {$(
        impl FromRequestParts for $type {
            const IMMEDIATE: bool = true;
            type Rejection = Infallible;

            async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Infallible> {
                Ok(parts.$field.clone())
            }
        }
    )*};
}

head! {
    Method: method,
    Uri: uri,
    Version: version,
    HeaderMap: headers,
}
