//! What the endpoints answer, and the hundred resources of the routing endpoint.

use serde::{Deserialize, Serialize};

/// The body of `GET /plaintext`.
pub const HELLO: &str = "Hello, World!";

/// The body limit of `--stages all`, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How many `/rN/{id}` routes stand beside `/users/{id}`: a hundred in all.
pub const RESOURCES: usize = 99;

/// The answer of `GET /json`.
#[derive(Debug, Serialize)]
pub struct Message {
    /// The greeting.
    pub message: &'static str,
}

/// The answer of `GET /json`, freshly built as a handler would.
#[must_use]
pub fn message() -> Message {
    Message { message: HELLO }
}

/// The answer of `GET /users/{id}` and of its ninety-nine neighbours.
#[derive(Debug, Serialize)]
pub struct User {
    /// The id taken from the path.
    pub id: u64,
    /// A constant name.
    pub name: &'static str,
}

/// The answer of `GET /users/{id}`.
#[must_use]
pub fn user(id: u64) -> User {
    User { id, name: "Grace" }
}

/// The path of the `n`th neighbour, with the brace syntax all peers share.
#[must_use]
pub fn resource_path(n: usize) -> String {
    format!("/r{n}/{{id}}")
}

/// What `POST /json-echo` reads and writes back; about 1 KiB with the runner's note.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// A number.
    pub id: u64,
    /// A short text.
    pub customer: String,
    /// Some nested values.
    pub lines: Vec<Line>,
    /// Filler that brings the body to 1 KiB.
    pub note: String,
}

/// One nested value of an [`Order`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// A short text.
    pub sku: String,
    /// A number.
    pub quantity: u32,
    /// A fraction.
    pub price: f64,
}
