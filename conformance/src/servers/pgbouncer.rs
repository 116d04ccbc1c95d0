//! A PgBouncer before a PostgreSQL server of ours.

use std::path::Path;

use super::postgres::PostgresServer;
use super::process::{Program, Server, User, find};

/// A running PgBouncer: transactions, not sessions, are given a connection of the server, of which there are
/// four, so that whoever relies on a session is found out.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// Starts one before `postgres`, whose restarts it survives.
    ///
    /// # Errors
    /// What kept it from starting: the package to install, or the end of its log.
    pub fn start(postgres: &PostgresServer) -> Result<Self, String> {
        Self::start_with(postgres, &[])
    }

    /// Starts one with settings of `pgbouncer.ini`, such as `("default_pool_size", "1")`, which override ours.
    ///
    /// # Errors
    /// As [`PgBouncer::start`].
    pub fn start_with(
        postgres: &PostgresServer,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let path = find("pgbouncer", "pgbouncer")?;
        let server = Server::start("pgbouncer", User::other_than_root()?, |directory, port| {
            let users = directory.write("users", "\"postgres\" \"\"\n")?;
            let mut config = format!(
                "[databases]\n\
                     * = host=127.0.0.1 port={}\n\
                     [pgbouncer]\n\
                     listen_addr = 127.0.0.1\n\
                     listen_port = {port}\n\
                     unix_socket_dir =\n\
                     auth_type = trust\n\
                     auth_file = {}\n\
                     pool_mode = transaction\n\
                     default_pool_size = 4\n\
                     max_client_conn = 500\n",
                postgres.port(),
                users.display(),
            );
            for (name, value) in settings {
                config += &format!("{name} = {value}\n");
            }
            let config = directory.write("pgbouncer.ini", &config)?;
            Ok(Program {
                path: path.clone(),
                args: vec![config.display().to_string()],
                ready: "process up",
                stop: "INT",
                end: "KILL",
            })
        })?;
        Ok(Self { server })
    }

    /// The URL of the server's database through this, as a superuser without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }

    /// Its port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its directory, with its log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.server.directory()
    }

    /// Kills it (`SIGKILL`), and waits until it is gone.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Stops it in order: transactions that run may end.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again on the same port, after stopping it if it runs.
    ///
    /// # Errors
    /// As [`PgBouncer::start`].
    pub fn restart(&mut self) -> Result<(), String> {
        self.server.restart()
    }
}
