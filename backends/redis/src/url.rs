//! Where the servers are: `redis://[[user]:password@]host[:port][/db]`, or
//! `redis-cluster://[[user]:password@]host[:port][,host[:port]…]`. Reads text, resolves nothing.

use std::fmt;

use redis::Pipeline;
use tideway::jobs::StoreError;

use crate::error::fatal;

const PORT: u16 = 6379;

/// A host and a port.
pub(crate) type Address = (String, u16);

/// Where, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    pub(crate) addresses: Vec<Address>,
    pub(crate) cluster: bool,
    pub(crate) login: Login,
}

/// As whom, and to which database.
#[derive(Clone, Default)]
pub(crate) struct Login {
    user: Option<String>,
    password: Option<String>,
    db: u16,
}

impl Login {
    /// What is said first on a connection.
    pub(crate) fn greeting(&self) -> Pipeline {
        let mut greeting = Pipeline::new();
        let hello = greeting.cmd("HELLO").arg(3);
        if let Some(password) = &self.password {
            let user = self.user.as_deref().unwrap_or("default");
            hello.arg("AUTH").arg(user).arg(password);
        }
        if self.db != 0 {
            greeting.cmd("SELECT").arg(self.db);
        }
        greeting
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, db {})", self.user, self.db)
    }
}

/// Reads `url`.
pub(crate) fn parse(url: &str) -> Result<Servers, StoreError> {
    let (cluster, rest) = match (
        url.strip_prefix("redis://"),
        url.strip_prefix("redis-cluster://"),
    ) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => {
            return Err(fatal(
                "the URL is not one of Redis: write redis://host:6379/0 or redis-cluster://host1:6379,host2:6379",
            ));
        }
    };
    let mut login = Login::default();
    let rest = match rest.rsplit_once('@') {
        Some((who, rest)) => {
            let (user, password) = who.split_once(':').unwrap_or((who, ""));
            if !user.is_empty() {
                login.user = Some(decoded(user)?);
            }
            if !password.is_empty() {
                login.password = Some(decoded(password)?);
            }
            rest
        }
        None => rest,
    };
    let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
    if !db.is_empty() {
        let db = db.parse::<u16>().ok().filter(|db| !cluster || *db == 0);
        login.db = db.ok_or_else(|| {
            fatal("the database in the URL is no number, or a cluster has only 0")
        })?;
    }
    let addresses: Option<Vec<Address>> = hosts.split(',').map(address).collect();
    let addresses = addresses.filter(|all| cluster || all.len() == 1);
    Ok(Servers {
        addresses: addresses
            .ok_or_else(|| fatal("the URL has no readable host: write redis://host:6379/0"))?,
        cluster,
        login,
    })
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
pub(crate) fn address(text: &str) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => PORT,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// Undoes `%xx`.
fn decoded(text: &str) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.ok_or_else(|| fatal("a % in the URL is not followed by two hex digits"))?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| fatal("the user or password in the URL is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_as_whom() {
        let one = parse("redis://:p%40ss@localhost/3").expect("a URL");
        assert_eq!(one.addresses, [("localhost".to_owned(), 6379)]);
        assert_eq!(
            (one.login.password.as_deref(), one.login.db),
            (Some("p@ss"), 3)
        );
        let many = parse("redis-cluster://me:x@a:1,[::1]:2").expect("a URL");
        assert_eq!(many.addresses, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert_eq!(many.login.user.as_deref(), Some("me"));
        for bad in [
            "http://x",
            "redis://",
            "redis://a,b",
            "redis://a/b",
            "redis://:%4@a",
            "redis://a:port",
            "redis-cluster://a/1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
