//! The sockets: an echo.

use tideway::Response;
use tideway::ws::WebSocketUpgrade;

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
