//! The pages of the examples in a real browser: what one tab does, another sees. Chromium is driven over its own protocol,
//! by our WebSocket client.

mod chromium;

use chromium::{Chromium, Tab};

use crate::server::Server;

/// Comes into a room of the chat.
fn enter(tab: &Tab<'_>, name: &str) {
    tab.run(&format!(
        "document.getElementById('name').value = '{name}';
         document.querySelector('#door button').click()"
    ));
    tab.until("document.getElementById('state').textContent === 'connected'");
}

fn say(tab: &Tab<'_>, text: &str) {
    tab.run(&format!(
        "document.getElementById('text').value = '{text}';
         document.querySelector('#say button').click()"
    ));
}

/// What the page shows of one kind.
fn shown(what: &str, text: &str) -> String {
    format!("document.getElementById('{what}').innerText.includes('{text}')")
}

#[test]
fn messages_cross_between_two_tabs_of_the_chat() {
    let server = Server::start(env!("CARGO_BIN_EXE_chat"), &[]);
    let chromium = Chromium::start();
    let url = format!("http://{}/", server.addr);
    let (ann, bob) = (chromium.open(&url), chromium.open(&url));
    enter(&ann, "Ann");
    say(&ann, "first, before anyone came");
    enter(&bob, "Bob");
    bob.until(&shown("messages", "first, before anyone came"));
    for tab in [&ann, &bob] {
        tab.until(&shown("users", "Ann"));
        tab.until(&shown("users", "Bob"));
    }
    ann.until(&shown("messages", "Bob came"));

    ann.run(
        "const text = document.getElementById('text'); text.value = 'h';
         text.dispatchEvent(new Event('input'))",
    );
    bob.until(&shown("typing", "Ann is typing"));
    say(&ann, "hello <b>Bob</b>");
    bob.until(&shown("messages", "hello <b>Bob</b>"));
    bob.until("document.getElementById('typing').textContent === ''");
    say(&bob, "hello Ann");
    ann.until(&shown("messages", "hello Ann"));

    bob.close();
    ann.until(&shown("messages", "Bob went"));
    ann.until(&format!("!{}", shown("users", "Bob")));
    server.stop();
}

#[test]
fn a_note_that_one_tab_changes_changes_in_another() {
    let server = Server::start(env!("CARGO_BIN_EXE_quickstart"), &[]);
    let chromium = Chromium::start();
    let url = format!("http://{}/", server.addr);
    let (one, other) = (chromium.open(&url), chromium.open(&url));
    for tab in [&one, &other] {
        tab.until("document.documentElement.dataset.live === 'yes'");
    }
    let write = |title: &str| {
        one.run(&format!(
            "document.querySelector('#editor [name=title]').value = '{title}';
             document.getElementById('save').click()"
        ));
    };
    write("Buy milk");
    other.until(&shown("notes", "Buy milk"));
    one.until(&shown("notes", "Buy milk"));
    one.run("document.querySelector('#notes .edit').click()");
    write("Buy tea");
    other.until(&shown("notes", "Buy tea"));
    // What is being written is not lost to an update.
    other.run("document.querySelector('#editor [name=title]').value = 'half a tho'");
    let note = serde_json::json!({"title": "from a program"});
    assert_eq!(server.json("POST", "/notes", &note).status, 201);
    other.until(&shown("notes", "from a program"));
    other.until("document.querySelector('#editor [name=title]').value === 'half a tho'");
    server.stop();
}
