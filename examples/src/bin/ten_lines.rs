//! The program at the top of the README, letter for letter; `TIDEWAY_LISTEN` says where it listens.

use tideway::{App, get};

async fn hello() -> &'static str {
    "Hello, world!\n"
}

fn main() -> std::io::Result<()> {
    tideway_tokio::run(App::new().route("/", get(hello)))
}
