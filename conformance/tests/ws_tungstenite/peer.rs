//! Tungstenite as a peer of either role, on every runtime.

use std::io::Read as _;
use std::net::TcpStream;

use tungstenite::protocol::WebSocket;
use tungstenite::{Error, Message};

pub(crate) type Peer = WebSocket<TcpStream>;

/// Reads a head, and nothing behind it.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    String::from_utf8(head).expect("ASCII")
}

/// Reads on; the code the other side closed with.
pub(crate) fn closed(peer: &mut Peer) -> Option<u16> {
    let mut code = None;
    loop {
        match peer.read() {
            Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return code,
            Err(error) => panic!("{error}, after {code:?}"),
        }
    }
}

/// Makes each `fn(&Harness<impl Runtime>)` a test on every runtime.
macro_rules! on_each_runtime {
    ($($case:ident,)*) => {$(
        mod $case {
            #[test]
            fn tokio_with_threads() {
                super::$case(&super::Harness::new("tokio", None, tideway_tokio::Tokio::current, |task| {
                    tokio::runtime::Builder::new_multi_thread()
                        .worker_threads(2)
                        .enable_all()
                        .build()
                        .expect("a runtime")
                        .block_on(task);
                }));
            }

            #[test]
            fn async_std() {
                super::$case(&super::Harness::new(
                    "async-std",
                    None,
                    tideway_async_std::AsyncStd::default,
                    async_std::task::block_on,
                ));
            }

            #[test]
            fn smol() {
                super::$case(&super::Harness::new("smol", None, tideway_smol::Smol::default, smol::block_on));
            }
        }
    )*};
}
pub(crate) use on_each_runtime;
