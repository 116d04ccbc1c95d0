//! The rules of `Host` (RFC 9110 §7.2, RFC 9112 §3.2).

use http::{HeaderValue, StatusCode, Version, header};

use crate::error::Problem;
use crate::pipeline::{Cx, Flow, Phases, Stage};

/// Refuses a missing, doubled or malformed `Host` in HTTP/1.1 with 400, and closes.
///
/// HTTP/2 carries `:authority` instead; a `Host` beside it must be well-formed too.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostRules;

impl Stage for HostRules {
    fn name(&self) -> &'static str {
        "host"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let Some(request) = cx.request() else {
            return Flow::Next;
        };
        let parts = &request.parts;
        let mut hosts = parts.headers.get_all(header::HOST).iter();
        let wrong = match (hosts.next(), hosts.next()) {
            (None, _) if parts.version == Version::HTTP_11 => "the Host header is missing",
            (None, _) => return Flow::Next,
            (Some(_), Some(_)) => "there is more than one Host header",
            (Some(host), None) if well_formed(host) => return Flow::Next,
            (Some(_), None) => "the Host header is no host and port",
        };
        cx.close_after();
        let problem = Problem::new(StatusCode::BAD_REQUEST).detail(format!(
            "{wrong}; send exactly one, such as `Host: example.com`"
        ));
        Flow::Respond(problem.into_response())
    }
}

/// `uri-host [ ":" port ]` (RFC 3986 §3.2.2); an empty value is allowed by RFC 9112 §3.2.
fn well_formed(host: &HeaderValue) -> bool {
    let host = host.as_bytes();
    let (name, port) = match host {
        [b'[', rest @ ..] => match rest.iter().position(|&b| b == b']') {
            Some(end) => {
                let literal = &rest[..end];
                let plain = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
                if literal.is_empty() || !literal.iter().all(plain) {
                    return false;
                }
                (&b"x"[..], &rest[end + 1..])
            }
            None => return false,
        },
        _ => {
            // One pass: it ends at the port, or at what is no part of a name.
            let named = host.iter().take_while(|&&b| NAMED[usize::from(b)]).count();
            host.split_at(named)
        }
    };
    let port_fits = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let nameless = name.is_empty() && !port.is_empty();
    port_fits && !nameless
}

/// What a name is made of: unreserved / pct-encoded / sub-delims.
static NAMED: [bool; 256] = {
    let mut named = [false; 256];
    let mut b = 0;
    while b < named.len() {
        named[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let marks = b"-._~%!$&'()*+,;=";
    let mut i = 0;
    while i < marks.len() {
        named[marks[i] as usize] = true;
        i += 1;
    }
    named
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for good in [
            "",
            "a",
            "example.com",
            "a:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a_b.c",
            "a:",
        ] {
            assert!(well_formed(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in [
            ":80", "a b", "a/b", "a@b", "a:8o", "a:123456", "[::1", "[]", "[x]", "[::1]80",
            "a:1:2", "a,b:\t1", "a?b", "a#b",
        ] {
            assert!(!well_formed(&HeaderValue::from_static(bad)), "{bad}");
        }
    }
}
