//! Who listens to a file: all handles that this process has on it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tideway::jobs::hints::Wakes;

/// The listeners of the file at `path`, shared by all handles of this process.
pub(crate) fn of(path: &Path) -> Arc<Wakes> {
    static HUBS: Mutex<Vec<(PathBuf, Weak<Wakes>)>> = Mutex::new(Vec::new());
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut hubs = HUBS.lock().unwrap_or_else(PoisonError::into_inner);
    hubs.retain(|(_, hub)| hub.strong_count() > 0);
    let known = hubs.iter().find(|(of, _)| *of == path);
    if let Some(hub) = known.and_then(|(_, hub)| hub.upgrade()) {
        return hub;
    }
    let hub = Arc::new(Wakes::default());
    hubs.push((path, Arc::downgrade(&hub)));
    hub
}
