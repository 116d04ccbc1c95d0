//! A pooler in transaction mode, as the one that `scripts/services` starts: opened with `--pooled`.

use tideway_conformance::servers;

use crate::site::{Site, Store};

#[test]
fn a_pooler_is_used_if_it_is_said() {
    let pooler = servers::pgbouncer().expect("PgBouncer");
    let site = Site::at(&pooler.url(), true);
    let run = site.ask(&["run", "--pooled", "--count", "20", "--kind", "ok"]);
    assert_eq!(run["succeeded"], 20);
    let report = site.ask(&["audit", "--pooled"]);
    assert_eq!(report["flaws"], serde_json::json!([]));
    let unsaid = site.output(&["stats"]);
    let errors = String::from_utf8_lossy(&unsaid.stderr);
    assert_eq!(unsaid.status.code(), Some(1), "{errors}");
    assert!(errors.contains("pooled"), "{errors}");
}

#[test]
fn no_other_store_is_pooled() {
    let refused = Site::new(Store::Redis).output(&["stats", "--pooled"]);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("`--pooled` is for PostgreSQL"), "{errors}");
}
