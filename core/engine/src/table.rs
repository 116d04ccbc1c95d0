//! A machine's transitions as data: one table that the machine runs on, its documentation shows
//! and a snapshot test guards. It knows no machine.

/// One row of a transition table; made by the crate's `transitions!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The states it leads from.
    pub from: &'static [&'static str],
    /// What happens.
    pub on: &'static str,
    /// The state it leads to; the same as before if it starts anew.
    pub to: &'static str,
    /// What it means, for a reader.
    pub note: &'static str,
}

/// The table as Markdown, one line per row. What has no row changes nothing.
#[must_use]
pub fn render(table: &[Transition]) -> String {
    let mut text = String::from("| From | On | To | Meaning |\n|---|---|---|---|\n");
    for row in table {
        let from = row.from.join(", ");
        text += &format!("| {from} | {} | {} | {} |\n", row.on, row.to, row.note);
    }
    text
}

/// Declares a table and the function that follows it, so that the two cannot differ.
///
/// A second row for the same state and event does not compile: its pattern is unreachable.
macro_rules! transitions {
    (
        $(#[$table_doc:meta])*
        $vis:vis const $table:ident;
        $(#[$next_doc:meta])*
        $next_vis:vis fn $next:ident($state:ident, $event:ident);
        $($($from:ident)|+, $on:ident => $to:ident, $note:literal;)+
    ) => {
        $(#[$table_doc])*
        $vis const $table: &[$crate::table::Transition] = &[$(
            $crate::table::Transition {
                from: &[$(stringify!($from)),+],
                on: stringify!($on),
                to: stringify!($to),
                note: $note,
            },
        )+];

        $(#[$next_doc])*
        #[inline]
        $next_vis const fn $next(from: $state, on: $event) -> Option<$state> {
            match (from, on) {
                $(($($state::$from)|+, $event::$on) => Some($state::$to),)+
                _ => None,
            }
        }
    };
}

pub(crate) use transitions;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Door {
        Open,
        Shut,
        Locked,
    }

    #[derive(Clone, Copy)]
    enum Hand {
        Push,
        Turn,
    }

    transitions! {
        const DOOR;
        fn door(Door, Hand);
        Open, Push => Shut, "falls shut";
        Shut | Locked, Turn => Locked, "locks";
    }

    #[test]
    fn rows_are_followed_and_nothing_else() {
        assert_eq!(door(Door::Open, Hand::Push), Some(Door::Shut));
        assert_eq!(door(Door::Locked, Hand::Turn), Some(Door::Locked));
        assert_eq!(door(Door::Open, Hand::Turn), None);
    }

    #[test]
    fn it_renders_as_markdown() {
        insta::assert_snapshot!(render(DOOR), @r"
        | From | On | To | Meaning |
        |---|---|---|---|
        | Open | Push | Shut | falls shut |
        | Shut, Locked | Turn | Locked | locks |
        ");
    }
}
