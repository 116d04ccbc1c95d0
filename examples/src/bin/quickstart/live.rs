//! `/live`: open pages hear that notes changed, and list them anew.

use tideway::ws::{Hub, Policy, Room, Rules, WebSocketUpgrade};
use tideway::{Problem, Response};

/// Where pages listen. That something changed needs saying once, however slowly a page reads.
fn pages(hub: &Hub) -> Result<Room, Problem> {
    let rules = Rules {
        policy: Policy::Conflate,
        ..Rules::default()
    };
    let room = hub.room("pages").map_err(Problem::internal)?;
    Ok(room.rules(rules))
}

/// Tells every open page.
pub(crate) fn changed(hub: &Hub) -> Result<(), Problem> {
    pages(hub)?
        .publish_latest(0, "changed")
        .map_err(Problem::internal)
}

pub(crate) async fn listen(upgrade: WebSocketUpgrade, hub: Hub) -> Result<Response, Problem> {
    let pages = pages(&hub)?;
    Ok(upgrade.on_upgrade(|mut socket| async move {
        if pages.join(&socket).await.is_ok() {
            // A page has nothing to say; this waits for its end.
            while socket.recv().await.is_some() {}
        }
    }))
}
