//! Which pages may connect: a browser lets any page open a socket to any server, with that server's cookies, and
//! only the `Origin` header tells (RFC 6455 §10.2). A request without one comes from no browser.

/// Whose pages may connect, beside our own.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    any: bool,
    listed: Vec<Box<str>>,
}

impl Origins {
    pub(super) fn any() -> Self {
        Self {
            any: true,
            listed: Vec::new(),
        }
    }

    pub(super) fn allow(&mut self, origin: &str) {
        self.listed.push(origin.trim_end_matches('/').into());
    }

    /// Whether a page of `origin` may connect to us at `host`.
    pub(super) fn allows(&self, origin: &str, host: Option<&str>) -> bool {
        let listed = |own: &str| own.eq_ignore_ascii_case(origin);
        self.any
            || self.listed.iter().any(|own| listed(own))
            || host.is_some_and(|host| is_same(origin, host))
    }
}

/// Whether `origin` is a page that `host` itself served. The scheme is the page's: a proxy that ends TLS hides ours.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        // "null": a sandboxed frame, a file.
        return false;
    };
    let default = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => "443",
        _ if scheme.eq_ignore_ascii_case("http") => "80",
        _ => return false,
    };
    let (name, port) = name_and_port(authority, default);
    let (own_name, own_port) = name_and_port(host, default);
    !name.is_empty() && name.eq_ignore_ascii_case(own_name) && port == own_port
}

fn name_and_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        // Not a colon of an IPv6 address.
        Some((name, port)) if !port.contains(']') => {
            (name, if port.is_empty() { default } else { port })
        }
        _ => (authority, default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_pages_and_listed_ones_may_connect() {
        let mut origins = Origins::default();
        origins.allow("https://friend.example/");
        for (origin, host, allowed) in [
            ("https://app.example", "app.example", true),
            ("https://APP.example", "app.EXAMPLE", true),
            ("https://app.example", "app.example:443", true),
            ("https://app.example:443", "app.example", true),
            ("http://app.example", "app.example", true),
            ("http://app.example", "app.example:80", true),
            ("http://localhost:8080", "localhost:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[::1]", true),
            ("http://localhost:3000", "localhost:8080", false),
            ("http://app.example", "app.example:443", false),
            ("https://evil.example", "app.example", false),
            ("https://app.example.evil.example", "app.example", false),
            ("https://evil.example/app.example", "app.example", false),
            ("ftp://app.example", "app.example", false),
            ("null", "app.example", false),
            ("", "", false),
            ("https://", "", false),
            ("https://friend.example", "app.example", true),
            ("http://friend.example", "app.example", false),
        ] {
            assert_eq!(
                origins.allows(origin, Some(host)),
                allowed,
                "{origin} at {host}"
            );
        }
        assert!(!origins.allows("https://app.example", None));
        assert!(Origins::any().allows("null", None));
    }
}
