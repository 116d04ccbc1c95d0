//! A handler is passed, not called.

use tideway::{App, get};

fn index() -> &'static str {
    "hello"
}

fn main() {
    let _ = App::new().route("/", get(index()));
}
