//! Where a client connects: `ws://host[:port]/path?query`, read from text. It resolves no name.

use http::Uri;

/// Of `ws`.
const PORT: u16 = 80;

/// Why a URL names no WebSocket that can be reached from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not the syntax of a URL.
    #[error(
        "the URL is malformed: write ws://HOST:PORT/PATH, other characters than ASCII percent-encoded"
    )]
    Malformed,
    /// Another scheme, or none.
    #[error("the URL is none of a WebSocket: begin it with ws://")]
    Scheme,
    /// `wss`.
    #[error(
        "TLS is not built in yet: connect with ws:// to a proxy beside this program that speaks TLS to the server"
    )]
    Tls,
    /// `user:password@`, which would appear in logs.
    #[error("the URL holds a user: send an `Authorization` header instead")]
    User,
    /// `#…`, which is never sent (RFC 6455 §3).
    #[error(
        "the URL has a fragment, which no server sees: leave out `#` and what follows, or write %23"
    )]
    Fragment,
    /// None.
    #[error("the URL names no host: write ws://HOST/")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port of the URL is no number from 1 to 65535")]
    Port,
}

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an address; one of IPv6 without brackets.
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// The value of `Host`.
    pub(super) authority: Box<str>,
    /// Path and query, as the request line has them.
    pub(super) target: Box<str>,
}

impl Address {
    pub(super) fn read(url: &str) -> Result<Self, UrlError> {
        if url.contains('#') {
            return Err(UrlError::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| match url.split_once("://") {
            Some((_, rest)) if rest.is_empty() || rest.starts_with(['/', ':', '?']) => {
                UrlError::Host
            }
            _ => UrlError::Malformed,
        })?;
        let scheme = uri.scheme_str().ok_or(UrlError::Scheme)?;
        if scheme.eq_ignore_ascii_case("wss") {
            return Err(UrlError::Tls);
        }
        if !scheme.eq_ignore_ascii_case("ws") {
            return Err(UrlError::Scheme);
        }
        let authority = uri.authority().ok_or(UrlError::Host)?.as_str();
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = split(authority);
        let port = match port {
            // RFC 3986 §3.2.3: one that is empty is the scheme's.
            None | Some("") => PORT,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
                Ok(0) | Err(_) => return Err(UrlError::Port),
                Ok(port) => port,
            },
            Some(_) => return Err(UrlError::Port),
        };
        let bare = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(UrlError::Malformed)?,
            None => host,
        };
        if bare.is_empty() {
            return Err(UrlError::Host);
        }
        let authority = if port == PORT {
            host.into()
        } else {
            format!("{host}:{port}").into()
        };
        let target = match (uri.path(), uri.query()) {
            (path, None) => path.into(),
            (path, Some(query)) => format!("{path}?{query}").into(),
        };
        Ok(Self {
            host: bare.into(),
            port,
            authority,
            target,
        })
    }
}

/// Host and port, if there is one; the colons of an address in brackets are its own.
fn split(authority: &str) -> (&str, Option<&str>) {
    let after = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after..].find(':') {
        Some(colon) => (
            &authority[..after + colon],
            Some(&authority[after + colon + 1..]),
        ),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(url: &str) -> String {
        match Address::read(url) {
            Ok(address) => format!(
                "{} {} {} {}",
                address.host, address.port, address.authority, address.target
            ),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn urls_are_taken_apart_or_refused() {
        for (url, read) in [
            ("ws://example.com", "example.com 80 example.com /"),
            ("WS://example.com:80/", "example.com 80 example.com /"),
            ("ws://example.com:", "example.com 80 example.com /"),
            ("ws://h:9001/a/b?c=d&e", "h 9001 h:9001 /a/b?c=d&e"),
            ("ws://h?x=1", "h 80 h /?x=1"),
            ("ws://10.0.0.1:1/%23", "10.0.0.1 1 10.0.0.1:1 /%23"),
            ("ws://[::1]/x", "::1 80 [::1] /x"),
            ("ws://[fe80::1:2]:8080", "fe80::1:2 8080 [fe80::1:2]:8080 /"),
            ("wss://example.com/", "Tls"),
            ("http://example.com/", "Scheme"),
            ("example.com", "Scheme"),
            ("/path", "Scheme"),
            ("ws://me:secret@example.com/", "User"),
            ("ws://me@example.com/", "User"),
            ("ws://example.com/#top", "Fragment"),
            ("ws://", "Host"),
            ("ws:///path", "Host"),
            ("ws://:80/", "Host"),
            ("ws://h:0/", "Port"),
            ("ws://h:65536/", "Port"),
            ("ws://h:+1/", "Port"),
            ("ws://h:80x/", "Port"),
            ("ws://[::1", "Malformed"),
            ("ws://[]/", "Host"),
            ("ws://exämple.com/", "Malformed"),
            ("ws://h/a b", "Malformed"),
            ("", "Malformed"),
        ] {
            assert_eq!(shown(url), read, "{url}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_is_read_or_refused(url in "(ws://)?\\PC{0,40}") {
            if let Ok(address) = Address::read(&url) {
                // What goes into a head holds no line of its own.
                for part in [&address.authority, &address.target] {
                    prop_assert!(part.bytes().all(|byte| byte > b' ' && byte != 0x7f), "{part:?}");
                }
                prop_assert!(address.target.starts_with('/'), "{:?}", address.target);
            }
        }
    }
}
