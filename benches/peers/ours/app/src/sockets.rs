//! The sockets: an echo, and a room.

use tideway::Response;
use tideway::ws::{Hub, Policy, Rules, WebSocketUpgrade};

/// Sends back what comes.
pub(crate) async fn echo(upgrade: WebSocketUpgrade, deflate: bool) -> Response {
    upgrade.deflate(deflate).on_upgrade(|mut socket| async move {
        while let Some(message) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

/// Sends what comes to everyone in the one room there is; who reads slowly misses the oldest.
pub(crate) async fn room(upgrade: WebSocketUpgrade, hub: Hub) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        let Ok(room) = hub.room("all") else { return };
        let room = room.rules(Rules {
            policy: Policy::DropOldest,
            ..Rules::default()
        });
        if room.join(&socket).await.is_err() {
            return;
        }
        while let Some(message) = socket.recv().await {
            if room.publish(message).is_err() {
                return;
            }
        }
    })
}
