//! A PostgreSQL server of its own. Databases are made once per process and copied: `initdb` takes seconds.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::process::{Directory, Program, Server, User, find};

const PACKAGE: &str = "postgresql";
/// The role that must give a password, and it.
const GUARDED: (&str, &str) = ("guarded", "correct");

/// Who may connect: everybody, but [`GUARDED`] with its password only.
const ACCESS: &str = "\
host  all  guarded  127.0.0.1/32  scram-sha-256
host  all  all      127.0.0.1/32  trust
local all  guarded  scram-sha-256
local all  all      trust
";

/// A running PostgreSQL server: on 127.0.0.1, with the superuser `postgres` who needs no password, UTF-8 and
/// the locale C. `fsync` and `synchronous_commit` are on, so that what it promised survives.
#[derive(Debug)]
pub struct PostgresServer {
    server: Server,
}

impl PostgresServer {
    /// Starts one.
    ///
    /// # Errors
    /// What kept it from starting: the package to install, or the end of its log.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// Starts one with settings of `postgresql.conf`, such as `("max_connections", "20")`, which override ours.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, String> {
        let postgres = find("postgres", PACKAGE)?;
        let template = template()?;
        let server = Server::start("postgres", User::other_than_root()?, |directory, port| {
            let data = directory.path().join("data");
            let mut copy = Command::new("cp");
            copy.arg("-Rp").arg(template.path().join("data")).arg(&data);
            directory.run(&mut copy, "")?;
            let place = directory.path().display().to_string();
            let port = port.to_string();
            let ours = [
                ("listen_addresses", "127.0.0.1"),
                ("port", &port),
                ("unix_socket_directories", &place),
                ("fsync", "on"),
                ("synchronous_commit", "on"),
                ("max_connections", "200"),
                // In the directory: shared memory of the system would outlive a killed server.
                ("dynamic_shared_memory_type", "mmap"),
            ];
            let mut args = vec!["-D".to_owned(), data.display().to_string()];
            for (name, value) in ours.iter().chain(settings) {
                args.extend(["-c".to_owned(), format!("{name}={value}")]);
            }
            Ok(Program {
                path: postgres.clone(),
                args,
                ready: "database system is ready to accept connections",
                // A fast shutdown: it ends sessions, and writes all down.
                stop: "INT",
                // An immediate one: as a crash, but its shared memory is given back.
                end: "QUIT",
            })
        })?;
        Ok(Self { server })
    }

    /// The URL of its database, as a superuser without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }

    /// The URL of its database as `guarded`, a role that must give the password `correct` (SCRAM-SHA-256) and
    /// may make schemas: with another `password` the server refuses it.
    #[must_use]
    pub fn url_with_password(&self, password: &str) -> String {
        let (role, port) = (GUARDED.0, self.port());
        format!("postgres://{role}:{password}@127.0.0.1:{port}/postgres")
    }

    /// Its port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its directory, with its Unix socket and its log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.server.directory()
    }

    /// Kills it and the processes of its sessions (`SIGKILL`), and waits until it is gone.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Stops it in order, ending sessions.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again on the same port and data, after stopping it if it runs.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn restart(&mut self) -> Result<(), String> {
        self.server.restart()
    }
}

/// The databases that every server starts with, in `data`.
fn template() -> Result<&'static Directory, String> {
    static TEMPLATE: OnceLock<Result<Directory, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        let directory = Directory::create("postgres-template", User::other_than_root()?)?;
        let data = directory.path().join("data");
        let mut initdb = Command::new(find("initdb", PACKAGE)?);
        initdb.arg("-D").arg(&data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        directory.run(&mut initdb, "")?;
        directory.write("data/pg_hba.conf", ACCESS)?;
        let mut single = Command::new(find("postgres", PACKAGE)?);
        single.arg("--single").arg("-D").arg(&data);
        single.args(["-c", "password_encryption=scram-sha-256", "postgres"]);
        // One statement a line.
        let (role, password) = GUARDED;
        let role = format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{password}'\nGRANT CREATE ON DATABASE postgres TO {role}\n"
        );
        directory.run(&mut single, &role)?;
        Ok(directory)
    });
    made.as_ref().map_err(Clone::clone)
}
