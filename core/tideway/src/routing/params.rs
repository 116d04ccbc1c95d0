//! The parameters a route's pattern took from the path.

use std::sync::Arc;

/// The raw (percent-encoded) path parameters of a matched route: ranges into the path, up to
/// [`Params::INLINE`] of them without an allocation.
#[derive(Clone, Debug, Default)]
pub struct Params {
    route: Option<u32>,
    names: Option<Arc<[Box<str>]>>,
    inline: [(u32, u32); Self::INLINE],
    len: u8,
    more: Vec<(u32, u32)>,
}

impl Params {
    /// How many parameters fit without an allocation.
    pub const INLINE: usize = 4;

    /// A match of the route with this index.
    pub(crate) fn of_route(route: u32) -> Self {
        Self {
            route: Some(route),
            ..Self::default()
        }
    }

    /// The names of the route's parameters, in order.
    pub(crate) fn set_names(&mut self, names: Arc<[Box<str>]>) {
        self.names = Some(names);
    }

    /// Appends the value at `start..end` of the path.
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        // A request target is capped far below 4 GiB by the driver.
        let range = (start as u32, end as u32);
        if let Some(slot) = self.inline.get_mut(usize::from(self.len)) {
            *slot = range;
            self.len += 1;
        } else {
            self.more.push(range);
        }
    }

    /// Index of the matched route.
    pub(crate) fn route(&self) -> Option<u32> {
        self.route
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len) + self.more.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `(name, raw value)` in the order of the pattern; `path` is the request's path.
    pub fn iter<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let names = self.names.as_deref().unwrap_or(&[]);
        self.inline[..usize::from(self.len)]
            .iter()
            .chain(&self.more)
            .zip(names)
            .map(move |(&(start, end), name)| {
                let value = path.get(start as usize..end as usize).unwrap_or("");
                (name.as_ref(), value)
            })
    }
}
