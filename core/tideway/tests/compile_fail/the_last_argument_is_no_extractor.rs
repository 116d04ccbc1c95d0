//! Nor does a plain struct, as the last argument.

use tideway::{App, extract::Path, get};

struct Settings;

async fn show(Path(id): Path<u32>, _: Settings) -> String {
    id.to_string()
}

fn main() {
    let _ = App::new().route("/{id}", get(show));
}
