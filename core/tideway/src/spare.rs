//! The room of a request's header map, for its response: two allocations and as many frees fewer per
//! request. It never keeps a field: only room.

use std::cell::RefCell;

use http::HeaderMap;

/// The largest map kept, in fields. hyper keeps a response's map for the connection's life, so a
/// large one would stay with an idle connection.
const FIELDS: usize = 24;

thread_local! {
    // A cache without observable effect, so core stays pure.
    static ROOM: RefCell<HeaderMap> = RefCell::new(HeaderMap::new());
}

/// Keeps the room of `headers`, at which nobody will look again.
pub(crate) fn keep(headers: &mut HeaderMap) {
    headers.clear();
    if headers.capacity() <= FIELDS {
        swap(headers);
    }
}

/// Gives room to `headers`, which must be empty.
pub(crate) fn lend(headers: &mut HeaderMap) {
    swap(headers);
}

#[inline]
fn swap(headers: &mut HeaderMap) {
    // Only a thread that is ending has none.
    let _ = ROOM.try_with(|room| std::mem::swap(&mut *room.borrow_mut(), headers));
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn filled(fields: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for n in 0..fields {
            let name = HeaderName::try_from(format!("x-{n}")).expect("a name");
            headers.append(name, HeaderValue::from_static("mine"));
        }
        headers
    }

    fn lent() -> HeaderMap {
        let mut headers = HeaderMap::new();
        lend(&mut headers);
        headers
    }

    #[test]
    fn only_room_is_kept_and_lent_once() {
        let mut old = filled(5);
        let room = old.capacity();
        keep(&mut old);
        let first = lent();
        assert!(first.is_empty());
        assert_eq!(first.capacity(), room);
        assert_eq!(lent().capacity(), 0);
    }

    #[test]
    fn room_for_more_than_most_need_is_given_back() {
        keep(&mut filled(200));
        assert_eq!(lent().capacity(), 0);
    }
}
