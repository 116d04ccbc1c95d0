//! Properties of outboxes and rooms, and the failures of systems like this one, each under its own name.

mod cluster;
mod failures;
mod failures_between_nodes;
mod model;
mod outboxes;
mod runs;

use bytes::Bytes;

use super::*;

#[test]
fn the_tables_are_as_documented() {
    let tables = [
        (include_str!("outbox.md"), Outbox::<Bytes>::transitions()),
        (include_str!("rooms.md"), Rooms::<(), Bytes>::transitions()),
    ];
    for (documented, table) in tables {
        let table = crate::render(table);
        assert_eq!(documented, table, "it should be:\n{table}");
    }
}
