//! A handler returns something that is `IntoResponse`.

use tideway::{App, get};

struct User;

async fn awaited() -> User {
    User
}

fn at_once() -> User {
    User
}

fn main() {
    let _ = App::new().route("/a", get(awaited)).route("/b", get(at_once));
}
