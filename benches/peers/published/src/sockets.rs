//! The sockets of the published `tideway` 0.7: an echo. It has no way to broadcast from inside a handler that does not
//! wait for itself, so there is no room.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use tideway_published::websocket::{
    Connection, ConnectionManager, Message, WebSocketHandler, ws,
};
use tideway_published::{AppContext, Result};

pub(crate) fn routes() -> Router<AppContext> {
    // Its default refuses the last thousands of the idle ones.
    let manager = Arc::new(ConnectionManager::with_max_connections(20_000));
    ws("/ws/echo", Echo, manager)
}

struct Echo;

#[async_trait]
impl WebSocketHandler for Echo {
    async fn on_connect(&self, _: &mut Connection, _: &AppContext) -> Result<()> {
        Ok(())
    }

    async fn on_message(
        &self,
        connection: &mut Connection,
        message: Message,
        _: &AppContext,
    ) -> Result<()> {
        match message {
            Message::Text(_) | Message::Binary(_) => connection.send(message).await,
            _ => Ok(()),
        }
    }

    async fn on_disconnect(&self, _: &mut Connection, _: &AppContext) {}
}
