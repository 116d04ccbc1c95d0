//! Only the last argument may take the body.

use tideway::{App, extract::{Json, Path}, post};

async fn save(Json(text): Json<String>, Path(id): Path<u32>) -> String {
    format!("{id}: {text}")
}

fn main() {
    let _ = App::new().route("/{id}", post(save));
}
