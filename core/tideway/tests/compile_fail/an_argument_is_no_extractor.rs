//! `i32` does not come from a request.

use tideway::{App, extract::Path, get};

async fn show(_: i32, Path(id): Path<u32>) -> String {
    id.to_string()
}

fn main() {
    let _ = App::new().route("/{id}", get(show));
}
