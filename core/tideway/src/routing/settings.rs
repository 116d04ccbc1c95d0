//! Typed settings of a route, a group or the app: a small map from type to value.

use std::any::{Any, TypeId};
use std::sync::Arc;

/// Values by type, one each. Few, hence a list: a look-up compares as many ids as there are
/// settings and touches no hash.
///
/// ```
/// use tideway::routing::Settings;
/// let mut settings = Settings::default();
/// settings.insert(7_u32);
/// assert_eq!(settings.get::<u32>(), Some(&7));
/// assert_eq!(settings.get::<u64>(), None);
/// ```
#[derive(Clone, Default)]
pub struct Settings(Vec<(TypeId, Arc<dyn Any + Send + Sync>)>);

impl Settings {
    /// The setting of type `T`.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        let (_, value) = self.0.iter().find(|(id, _)| *id == wanted)?;
        value.downcast_ref()
    }

    /// Sets it, in place of an earlier one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let id = TypeId::of::<T>();
        self.0.retain(|(other, _)| *other != id);
        self.0.push((id, Arc::new(value)));
    }

    /// Takes over what `outer` sets and this does not.
    pub(crate) fn inherit(&mut self, outer: &Settings) {
        for (id, value) in &outer.0 {
            if self.0.iter().all(|(own, _)| own != id) {
                self.0.push((*id, Arc::clone(value)));
            }
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_setting_wins_and_the_later_one_replaces() {
        let (mut inner, mut outer) = (Settings::default(), Settings::default());
        inner.insert(1_u8);
        inner.insert(2_u8);
        outer.insert(3_u8);
        outer.insert("outer");
        inner.inherit(&outer);
        assert_eq!(inner.get::<u8>(), Some(&2));
        assert_eq!(inner.get::<&str>(), Some(&"outer"));
    }
}
