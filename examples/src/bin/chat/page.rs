//! The page: three files that are part of the program.

use tideway::response::Html;
use tideway::{IntoResponse, Routes, get};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(page))
        .route("/page.css", get(style))
        .route("/page.js", get(script))
}

/// Nothing from elsewhere, nothing inline: a message cannot bring a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

fn page() -> impl IntoResponse {
    (
        [
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
        ],
        Html(include_str!("page.html")),
    )
}

fn style() -> impl IntoResponse {
    (
        [("content-type", "text/css; charset=utf-8")],
        include_str!("page.css"),
    )
}

fn script() -> impl IntoResponse {
    (
        [("content-type", "text/javascript; charset=utf-8")],
        include_str!("page.js"),
    )
}
