//! A handler may move between threads whenever it waits.

use std::rc::Rc;
use tideway::{App, get};

async fn count() -> String {
    let count = Rc::new(1);
    std::future::ready(()).await;
    count.to_string()
}

fn main() {
    let _ = App::new().route("/", get(count));
}
