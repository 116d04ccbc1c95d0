//! A page in three files that are part of the program.

use tideway::response::Html;
use tideway::{IntoResponse, Routes, get};

/// Nothing from elsewhere, nothing inline: what people write cannot bring a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Serves a page at `/`, with its style and its script beside it.
pub fn page(html: &'static str, style: &'static str, script: &'static str) -> Routes {
    let document = move || {
        let headers = [
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
        ];
        (headers, Html(html))
    };
    Routes::new()
        .route("/", get(document))
        .route("/page.css", file("text/css; charset=utf-8", style))
        .route("/page.js", file("text/javascript; charset=utf-8", script))
}

fn file(kind: &'static str, text: &'static str) -> tideway::routing::MethodRouter {
    get(move || ([("content-type", kind)], text).into_response())
}
