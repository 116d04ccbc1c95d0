//! Each extractor that the README lists is an argument of a handler: as it is, as an `Option` and as a `Result`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tideway::extract::{
    ConnectInfo, Extension, Form, FromRequest, FromRequestParts, Json, MatchedPath, Path, Query,
    State, ViaRequest,
};
use tideway::http::{HeaderMap, Method, Uri};
use tideway::routing::Next;
use tideway::testing::TestApp;
use tideway::{App, Body, Clock, Request, RequestId, Response, post};

#[derive(Clone)]
struct Mark;

#[derive(Deserialize, Serialize)]
struct Page {
    page: u8,
}

async fn mark(mut request: Request, next: Next) -> Response {
    request.parts.extensions.insert(Mark);
    next.run(request).await
}

/// Routes that answer with what became of the argument, and their paths.
macro_rules! routes {
    ($app:ident, $paths:ident, $rejection:ty, $($name:literal $type:ty,)*) => {$(
        let app = $app
            .route(
                concat!("/", $name, "/{id}"),
                post(async |_: $type| "taken"),
            )
            .route(
                concat!("/", $name, "/optional/{id}"),
                post(async |value: Option<$type>| value.map_or("absent", |_| "taken")),
            )
            .route(
                concat!("/", $name, "/result/{id}"),
                post(async |value: Result<$type, <$type as $rejection>::Rejection>| {
                    value.map_or("rejected", |_| "taken")
                }),
            );
        $app = app;
        $paths.extend(["", "optional/", "result/"].map(|way| format!(concat!("/", $name, "/{}7?page=1"), way)));
    )*};
}

#[test]
fn all_that_are_listed() {
    let mut app = App::new().provide(Mark).wrap(mark);
    let mut paths: Vec<String> = Vec::new();
    routes! { app, paths, FromRequestParts,
        "path" Path<u32>,
        "query" Query<Page>,
        "state" State<Mark>,
        "extension" Extension<Mark>,
        "headers" HeaderMap,
        "method" Method,
        "uri" Uri,
        "peer" ConnectInfo,
        "matched" MatchedPath,
        "id" RequestId,
        "clock" Clock,
    }
    routes! { app, paths, FromRequest<ViaRequest>,
        "form" Form<Page>,
        "json" Json<Page>,
        "bytes" Bytes,
        "text" String,
        "body" Body,
        "request" Request,
    }
    assert_eq!(paths.len(), 17 * 3);
    let mut app = TestApp::new(app);
    for path in paths {
        let request = app.post(&path);
        let request = match path.starts_with("/form") {
            true => request.form(&Page { page: 1 }),
            false => request.json(&Page { page: 1 }),
        };
        let response = request.send();
        assert_eq!(response.text(), "taken", "{path}");
    }
}
