//! soketto with its defaults, compressing if asked to; it answers any path with an echo.

use bench_common::Args;
use soketto::connection::Error;
use soketto::extension::deflate::Deflate;
use soketto::handshake::Server;
use soketto::handshake::server::Response;
use soketto::{Data, Mode};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))
}

async fn serve(args: Args) -> std::io::Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    bench_common::announce("soketto", &args);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // An error is the client's end, not ours.
            let _ = echo(stream, args.deflate).await;
        });
    }
}

async fn echo(stream: TcpStream, deflate: bool) -> Result<(), Error> {
    let mut server = Server::new(stream.compat());
    if deflate {
        server.add_extension(Box::new(Deflate::new(Mode::Server)));
    }
    let Ok(request) = server.receive_request().await else {
        return Ok(());
    };
    let key = request.key();
    let accept = Response::Accept {
        key,
        protocol: None,
    };
    if server.send_response(&accept).await.is_err() {
        return Ok(());
    }
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        match receiver.receive_data(&mut message).await? {
            Data::Binary(_) => sender.send_binary(&message).await?,
            Data::Text(_) => match std::str::from_utf8(&message) {
                Ok(text) => sender.send_text(text).await?,
                Err(_) => return Ok(()),
            },
        }
        sender.flush().await?;
    }
}
