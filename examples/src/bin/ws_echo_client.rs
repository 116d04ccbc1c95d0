//! A WebSocket client that sends back what it receives, so that the client role can be judged by tools.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tideway::ws::{self, Closed, ConnectError};
use tideway_driver::{Runtime, tasks};
use tideway_examples::{On, Switch};

/// Connects to a WebSocket server, echoes what it receives until closed, and prints the close code
#[derive(Parser)]
struct Cli {
    /// Where to connect: ws://HOST:PORT/PATH
    #[arg(long)]
    url: String,
    /// The async runtime to run on
    #[arg(long, value_enum, default_value_t = On::Tokio)]
    runtime: On,
    /// Whether to offer compression of messages
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    deflate: Switch,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(closed) => {
            println!("{}", closed.code);
            eprintln!("{} {}", closed.cause, closed.reason);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", cli.url);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> io::Result<Closed> {
    let closed = match cli.runtime {
        On::Tokio => tokio::runtime::Runtime::new()?
            .block_on(async { echo(tideway_tokio::Tokio::current(), cli).await }),
        On::AsyncStd => {
            async_std::task::block_on(echo(tideway_async_std::AsyncStd::default(), cli))
        }
        On::Smol => smol::block_on(echo(tideway_smol::Smol::default(), cli)),
        _ => return Err(io::Error::other("this program knows no such runtime")),
    };
    closed.map_err(io::Error::other)
}

/// Text comes back as text, binary as binary.
async fn echo<R: Runtime>(rt: R, cli: &Cli) -> Result<Closed, ConnectError> {
    let config = ws::Config {
        max_frame: 64 << 20,
        max_message: 64 << 20,
        ..ws::Config::default()
    };
    let mut socket = ws::connect(&tasks(rt), &cli.url)
        .config(Arc::new(config))
        .deflate(cli.deflate == Switch::On)
        .await?;
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(socket.over().await)
}
