//! One connection: found among the hosts of the address, driven by a task of the application's runtime.

use std::pin::pin;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::select;
use tideway::jobs::StoreError;
use tideway_driver::{Net, NetStream};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls};

use crate::error::{Doubt, fatal, lost, of, transient};

/// Where and how to connect.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    net: Net,
}

/// An open connection.
pub(crate) struct Conn {
    pub(crate) client: Client,
    /// Dropped with it: ends the task that drives the socket, and so the socket.
    _alive: oneshot::Sender<()>,
}

impl Address {
    /// `limit`: how long the server lets a statement take, if it is to be told.
    pub(crate) fn new(url: &str, limit: Option<Duration>, net: Net) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|error| {
            let said: &tokio_postgres::Error = &error;
            fatal(&format!("the address of the server cannot be read ({said}): write postgres://user:password@host:5432/database"))
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(fatal(
                "sslmode=require: this store connects without TLS; leave it out, or put a TLS proxy between",
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(fatal("the address of the server names no host"));
        }
        if let Some(limit) = limit {
            let millis = limit.as_millis().max(1);
            let set = format!(
                "-c jit=off -c statement_timeout={millis} -c idle_in_transaction_session_timeout={millis}"
            );
            let options = config.get_options().map(|known| format!("{known} {set}"));
            config.options(options.unwrap_or(set));
        }
        if config.get_application_name().is_none() {
            config.application_name("tideway");
        }
        Ok(Self { config, net })
    }

    /// Connects to the first host that serves.
    pub(crate) async fn connect(&self) -> Result<Conn, StoreError> {
        let (client, connection) = self.open().await?;
        let (alive, gone) = oneshot::channel::<()>();
        self.net.spawn(async move {
            // Its errors reach the calls that wait for an answer.
            let _ = select(pin!(connection), gone).await;
        });
        let conn = Conn {
            client,
            _alive: alive,
        };
        if self.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            let rows = conn
                .client
                .query_typed("SELECT pg_is_in_recovery()", &[])
                .await;
            let rows = rows.map_err(|error| of(&error, Doubt::None))?;
            if rows.first().is_some_and(|row| row.get(0)) {
                return Err(transient(
                    "the server is a replica, and the address asks for one that takes writes",
                ));
            }
        }
        Ok(conn)
    }

    /// A client and what drives it.
    pub(crate) async fn open(
        &self,
    ) -> Result<(Client, Connection<NetStream, NoTlsStream>), StoreError> {
        let mut last = None;
        for at in 0..self.config.get_hosts().len() {
            match self.open_at(at).await {
                Ok(open) => return Ok(open),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| fatal("the address of the server names no host")))
    }

    async fn open_at(
        &self,
        at: usize,
    ) -> Result<(Client, Connection<NetStream, NoTlsStream>), StoreError> {
        let stream = self.stream(at).await?;
        self.config
            .connect_raw(stream, NoTls)
            .await
            .map_err(|error| of(&error, Doubt::None))
    }

    async fn stream(&self, at: usize) -> Result<NetStream, StoreError> {
        let ports = self.config.get_ports();
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let host = match &self.config.get_hosts()[at] {
            Host::Tcp(host) => host,
            #[allow(
                unreachable_patterns,
                reason = "other kinds of hosts exist on some systems only"
            )]
            _ => {
                return Err(fatal(
                    "the address names a Unix socket: this store connects by TCP, so name a host",
                ));
            }
        };
        let stream = self.net.connect(host, port).await;
        stream.map_err(|error| transient(&format!("cannot connect to {host}:{port} ({error})")))
    }

    /// Asks the server, in the background, to stop what `client` is at: nobody waits for it any more.
    pub(crate) fn cancel(&self, client: &Client) {
        let (this, token) = (self.clone(), client.cancel_token());
        let work = async move {
            for at in 0..this.config.get_hosts().len() {
                if let Ok(stream) = this.stream(at).await {
                    let _ = token.cancel_query_raw(stream, NoTls).await;
                }
            }
        };
        let net = self.net.clone();
        self.net.spawn(async move {
            net.within(Duration::from_secs(5), work).await;
        });
    }

    pub(crate) fn net(&self) -> &Net {
        &self.net
    }
}

impl Conn {
    /// The error of a call on a connection that is gone, if it was gone before the call was sent.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.client.is_closed() {
            return Err(lost("it was closed while nobody used it", Doubt::None));
        }
        Ok(())
    }
}
