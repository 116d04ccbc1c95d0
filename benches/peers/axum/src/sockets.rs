//! axum's sockets: an echo, and a room on `tokio::sync::broadcast` as in axum's own chat example.

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::RecvError;

/// How many messages the room keeps for slow readers.
const KEPT: usize = 1024;

pub(crate) async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.next().await {
            let data = matches!(message, Message::Text(_) | Message::Binary(_));
            if data && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// All sockets of a room get what any of them sends.
pub(crate) fn room() -> Sender<Bytes> {
    Sender::new(KEPT)
}

pub(crate) async fn join(upgrade: WebSocketUpgrade, room: Sender<Bytes>) -> Response {
    upgrade.on_upgrade(move |socket| member(socket, room))
}

async fn member(socket: WebSocket, room: Sender<Bytes>) {
    let (mut sender, mut receiver) = socket.split();
    let mut news = room.subscribe();
    let mut sending = tokio::spawn(async move {
        loop {
            match news.recv().await {
                Ok(data) => {
                    if sender.send(Message::Binary(data)).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    let receiving = async {
        while let Some(Ok(message)) = receiver.next().await {
            if let Message::Binary(data) = message {
                // Nobody listens: no harm.
                let _ = room.send(data);
            }
        }
    };
    tokio::select! {
        () = receiving => sending.abort(),
        _ = &mut sending => {}
    }
}
