//! Just enough of RFC 9110 §8.3 to tell which extractor a `Content-Type` is meant for.

use http::{HeaderMap, header};

/// A `Content-Type`, split into its essence and its `charset`.
pub(super) struct Media<'a> {
    /// `type/subtype`, as sent.
    essence: &'a str,
    charset: Option<&'a str>,
}

impl<'a> Media<'a> {
    /// The request's type; `None` without the header, or if it is no text.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let mut pieces = value.split(';');
        let essence = pieces.next().unwrap_or("").trim();
        let charset = pieces.find_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            let named = name.trim().eq_ignore_ascii_case("charset");
            named.then(|| value.trim().trim_matches('"'))
        });
        Some(Self { essence, charset })
    }

    /// Whether it is exactly `essence`, in any case.
    pub(super) fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// `application/json` or `application/…+json` (RFC 6839).
    pub(super) fn is_json(&self) -> bool {
        if self.is("application/json") {
            return true;
        }
        let bytes = self.essence.as_bytes();
        let starts = bytes
            .get(..12)
            .is_some_and(|s| s.eq_ignore_ascii_case(b"application/"));
        let ends = bytes.len() > 17 && bytes[bytes.len() - 5..].eq_ignore_ascii_case(b"+json");
        starts && ends
    }

    /// A charset other than UTF-8 and its subset.
    pub(super) fn foreign_charset(&self) -> Option<&'a str> {
        let charset = self.charset?;
        let ours =
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii");
        (!ours).then_some(charset)
    }
}

/// What the request calls its body, for an error's text.
pub(super) fn named(headers: &HeaderMap) -> String {
    match headers.get(header::CONTENT_TYPE) {
        None => "no Content-Type".to_owned(),
        Some(value) => format!(
            "Content-Type {:?}",
            crate::routing::cut(&String::from_utf8_lossy(value.as_bytes()))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn media(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[test]
    fn json_is_told_by_its_essence() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/+json", false),
            ("application/jsonp", false),
            ("text/json", false),
            ("text/x+json", false),
            ("", false),
        ] {
            let headers = media(value);
            assert_eq!(
                Media::of(&headers).is_some_and(|m| m.is_json()),
                json,
                "{value}"
            );
        }
    }

    #[test]
    fn a_foreign_charset_is_named() {
        let headers = media("text/plain; x=1; Charset=\"latin1\"");
        assert_eq!(
            Media::of(&headers).and_then(|m| m.foreign_charset()),
            Some("latin1")
        );
        let headers = media("text/plain; charset=UTF-8");
        assert_eq!(Media::of(&headers).and_then(|m| m.foreign_charset()), None);
    }
}
