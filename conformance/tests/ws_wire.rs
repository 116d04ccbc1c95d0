//! The wire cases of the public Autobahn list, said again in one table and by its numbers: against the machine in both
//! roles, whole, byte by byte and in pieces; and against the server, on the real driver. What the list does in pieces of
//! its own is left out, since every case is cut here. Sizes are scaled where they only take time.

#[path = "ws_wire/case.rs"]
mod case;
#[path = "ws_wire/closing.rs"]
mod closing;
#[path = "ws_wire/deflate.rs"]
mod deflate;
#[path = "ws_wire/framing.rs"]
mod framing;
#[path = "ws_wire/machine.rs"]
mod machine;
#[path = "ws_wire/server.rs"]
mod server;
#[path = "ws_wire/utf8.rs"]
mod utf8;

use case::Case;
use tideway_engine::ws::Role;

fn cases() -> Vec<Case> {
    [framing::cases(), utf8::cases(), closing::cases()].concat()
}

#[test]
fn the_machine_answers_every_case_in_both_roles_however_it_is_cut() {
    for case in cases() {
        let size: usize = case.sends.iter().map(|(_, data)| data.len() + 2).sum();
        let pieces: &[usize] = if size < 20_000 {
            &[1, 2, 3, 7, 997, usize::MAX]
        } else {
            &[997, 65_536, usize::MAX]
        };
        for role in [Role::Server, Role::Client] {
            for piece in pieces {
                machine::run(&case, role, *piece);
            }
        }
    }
}

#[test]
fn the_server_answers_every_case() {
    for case in cases() {
        server::run(&case);
    }
}

#[test]
fn compressed_messages_of_all_kinds_and_sizes_are_echoed_under_any_agreement() {
    deflate::on_the_machine();
}

#[test]
fn the_server_agrees_to_offers_and_keeps_to_them() {
    deflate::on_the_server();
}

#[test]
fn compression_with_takeover_on_the_server_under_its_cap() {
    deflate::with_takeover_on_the_server();
}

#[test]
fn the_table_has_every_number() {
    let mut numbers: Vec<String> = cases().into_iter().map(|case| case.number).collect();
    numbers.dedup();
    let of = |family: &str| {
        let family = format!("{family}.");
        numbers
            .iter()
            .filter(|number| number.starts_with(&family))
            .count()
    };
    let families = ["1", "2", "3", "4", "5", "6", "7", "9", "10"];
    // But for those which are others in pieces: 2 of family 2, 8 of 5, 2 of 6, 12 of 9; with 3 codes that are new.
    assert_eq!(families.map(of), [16, 9, 7, 10, 11, 143, 40, 38, 1]);
}
