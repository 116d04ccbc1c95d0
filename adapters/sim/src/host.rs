//! A simulated machine: a `Runtime` for the driver, and its ports.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tideway::{Mono, Now, Seed};
use tideway_driver::{Bound, Runtime};

use crate::listener::SimListener;
use crate::net::CLIENT;
use crate::sleep::SimSleep;
use crate::stream::SimStream;
use crate::world::{World, host_ip};

/// A simulated machine with a name and an address. Clones are the same machine.
///
/// As a [`Runtime`]: `blocking` runs its work at once, in no time; `connect` takes the name or the
/// address of a host; `listen` fails, for a real socket has no place here: use [`Host::listener`].
#[derive(Clone)]
pub struct Host {
    world: Arc<World>,
    id: usize,
}

impl Host {
    pub(crate) fn new(world: Arc<World>, id: usize) -> Self {
        Self { world, id }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.world.with(|state| state.hosts[self.id].name.clone())
    }

    /// Its address: 10.0.0.1 for the first host made, and so on.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        host_ip(self.id).into()
    }

    /// How many of its tasks have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        let own = |state: &mut crate::world::State| {
            let tasks = state.tasks.values();
            tasks.filter(|task| task.host == self.id).count()
        };
        self.world.with(own)
    }

    /// Binds a port.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if it is bound, `NotConnected` while the host is switched off.
    pub fn listener(&self, port: u16) -> io::Result<SimListener> {
        let id = self.world.with(|state| state.bind(self.id, port))?;
        Ok(SimListener::new(self.world.clone(), (self.id, port, id)))
    }

    /// Completes after `duration` of virtual time.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> SimSleep {
        self.sleep_until(self.now().mono.plus(duration))
    }

    /// Spawns a task under a name that [`Stalled`](crate::Stalled) shows; `Runtime::spawn` takes
    /// that of the future's type.
    pub fn spawn_named(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        self.world.spawn(self.id, name, task);
    }
}

impl Runtime for Host {
    type Stream = SimStream;
    type Listener = SimListener;
    type Sleep = SimSleep;

    fn now(&self) -> Now {
        self.world.with(|state| state.now())
    }

    fn seed(&self) -> Seed {
        self.world.with(|state| state.hosts[self.id].rng.fork())
    }

    fn sleep_until(&self, at: Mono) -> SimSleep {
        SimSleep::new(self.world.clone(), at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let name = short(std::any::type_name_of_val(&task));
        self.world.spawn(self.id, &name, task);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn listen(&self, _on: Bound) -> io::Result<SimListener> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the simulator has no real sockets: use Host::listener",
        ))
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<SimStream> {
        let (conn, near, far) = self.world.with(|state| {
            if !state.hosts[self.id].up {
                return Err(io::Error::from(io::ErrorKind::NetworkDown));
            }
            let Some(to) = state.find_host(host) else {
                let unknown = format!("no host is called {host}");
                return Err(io::Error::new(io::ErrorKind::NotFound, unknown));
            };
            let (conn, near) = state.connect(self.id, to, port);
            Ok((conn, near, SocketAddr::from((host_ip(to), port))))
        })?;
        // Made first, so that giving up waiting closes the connection.
        let stream = SimStream::new(self.world.clone(), (conn, CLIENT), near, far);
        poll_fn(|cx| self.world.with(|state| state.poll_connect(conn, cx))).await?;
        Ok(stream)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({}, {})", self.name(), self.ip())
    }
}

/// `serve::connection` of `tideway_driver::serve::connection<…>::{{closure}}`.
fn short(name: &str) -> String {
    let plain = name.split('<').next().unwrap_or(name);
    let parts = plain
        .split("::")
        .filter(|part| *part != "{{closure}}" && !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_two_parts() {
        assert_eq!(
            short("a::serve::connection<b::C>::{{closure}}"),
            "serve::connection"
        );
        assert_eq!(
            short("core::pin::Pin<alloc::boxed::Box<dyn X>>"),
            "pin::Pin"
        );
        assert_eq!(short("job"), "job");
    }
}
