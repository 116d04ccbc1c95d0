//! A link that loses nothing and is bad: the proxy before the server of this process's tests holds every chunk back, and
//! passes one of ten on in pieces.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use tideway_conformance::proxy::{Faults, Proxy};

/// Its port, before the server on the port `to`: one server in a process.
pub(crate) fn port(to: u16) -> Result<u16, String> {
    static PROXY: OnceLock<Result<Proxy, String>> = OnceLock::new();
    let proxy = PROXY.get_or_init(|| {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, to));
        // It has a runtime of its own, which cannot begin inside another.
        let start = std::thread::spawn(move || Proxy::start(server, 11));
        let proxy = start.join().map_err(|_| "the proxy does not start")?;
        let proxy = proxy.map_err(|error| error.to_string())?;
        proxy.set(Faults {
            delay: Some(Duration::ZERO..Duration::from_millis(1)),
            chop: 0.1,
            ..Faults::default()
        });
        Ok(proxy)
    });
    Ok(proxy.as_ref().map_err(Clone::clone)?.addr().port())
}
