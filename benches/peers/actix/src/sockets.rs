//! actix-ws: an echo.

use actix_web::web::Payload;
use actix_web::{Error, HttpRequest, HttpResponse, rt};
use actix_ws::Message;
use futures_util::StreamExt;

/// The largest frame, in bytes: its default does not take 64 KiB.
const MAX_FRAME: usize = 1 << 20;

pub(crate) async fn echo(request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, mut session, messages) = actix_ws::handle(&request, body)?;
    let mut messages = messages.max_frame_size(MAX_FRAME);
    rt::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let sent = match message {
                Message::Text(text) => session.text(text).await,
                Message::Binary(data) => session.binary(data).await,
                Message::Close(_) => return,
                _ => Ok(()),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    Ok(response)
}
