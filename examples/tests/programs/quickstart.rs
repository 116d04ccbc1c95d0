//! The quickstart: notes live a whole life, mistakes are told by field, the export is a CSV file.

use serde_json::{Value, json};

use crate::on_each_runtime;
use crate::server::{Server, until};

on_each_runtime! {
    a_note_is_made_found_changed_and_deleted,
    every_mistake_is_told_by_field,
    a_search_has_pages,
    the_export_is_a_csv_file,
    an_export_in_the_background_is_retried_and_shows_how_far_it_is,
    an_export_is_the_same_file_and_one_at_a_time,
    an_export_leaves_nothing_behind_unless_asked,
    a_full_store_says_so,
    the_page_is_whole,
}

fn start(runtime: &str, args: &[&str]) -> Server {
    let args = [&["--runtime", runtime], args].concat();
    Server::start(env!("CARGO_BIN_EXE_quickstart"), &args)
}

fn a_note_is_made_found_changed_and_deleted(runtime: &str) {
    let server = start(runtime, &[]);
    let draft = json!({"title": " Buy milk ", "text": "two bottles", "tags": ["home"]});
    let reply = server.json("POST", "/notes", &draft);
    assert_eq!((reply.status, reply.header("location")), (201, "/notes/1"));
    let note = reply.json();
    assert_eq!(
        (&note["id"], &note["title"], &note["tags"]),
        (&json!(1), &json!("Buy milk"), &json!(["home"]))
    );
    assert!(note["created"].as_i64() > Some(1_700_000_000_000), "{note}");
    assert_eq!(server.get("/notes/1").json(), note);

    let reply = server.json("PUT", "/notes/1", &json!({"title": "Buy tea"}));
    assert_eq!(reply.status, 200);
    let changed = reply.json();
    assert_eq!(
        (&changed["title"], &changed["text"]),
        (&json!("Buy tea"), &json!(""))
    );
    assert_eq!(changed["created"], note["created"]);
    assert_eq!(server.get("/notes?q=MILK").json()["total"], 0);
    assert_eq!(server.get("/notes?q=TEA").json()["notes"], json!([changed]));

    let reply = server.ask("DELETE", "/notes/1", &[], b"");
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    for (method, body) in [("GET", ""), ("DELETE", ""), ("PUT", r#"{"title":"x"}"#)] {
        let kind = [("content-type", "application/json")];
        let reply = server.ask(method, "/notes/1", &kind, body.as_bytes());
        assert_eq!(reply.status, 404, "{method}");
        assert!(
            reply.json()["detail"]
                .as_str()
                .is_some_and(|text| text.contains("note 1"))
        );
    }
    assert_eq!(server.ask("PATCH", "/notes/1", &[], b"").status, 405);
    server.stop();
}

fn every_mistake_is_told_by_field(runtime: &str) {
    let server = start(runtime, &[]);
    let draft = json!({"title": "", "text": "x".repeat(2001), "tags": ["ok", "Not OK"]});
    let reply = server.json("POST", "/notes", &draft);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (422, "application/problem+json")
    );
    let problem = reply.json();
    let errors = problem["errors"].as_array().expect("a list of errors");
    let fields: Vec<_> = errors
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(fields, ["title", "text", "tags[1]"]);
    assert!(errors.iter().all(|error| error["message"].is_string()));

    let status = |body: &Value| server.json("POST", "/notes", body).status;
    assert_eq!(status(&json!({"title": 7})), 422);
    assert_eq!(status(&json!({"title": "t", "titel": "t"})), 422);
    assert_eq!(status(&json!([])), 422);
    assert_eq!(status(&json!({"title": "x".repeat(3 << 20)})), 413);
    let raw =
        |kind: &str, body: &[u8]| server.ask("POST", "/notes", &[("content-type", kind)], body);
    assert_eq!(raw("application/json", b"{oops").status, 400);
    assert_eq!(raw("text/plain", b"{}").status, 415);
    for path in [
        "/notes?page=0",
        "/notes?page=-1",
        "/notes?page=5%20apples",
        "/notes?page=4294967296",
        "/notes?per_page=0",
        "/notes?per_page=101",
        "/notes/x",
        "/notes/-1",
    ] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
    assert_eq!(server.get("/notes").json()["total"], 0);
    server.stop();
}

fn a_search_has_pages(runtime: &str) {
    let server = start(runtime, &[]);
    for i in 1..=45 {
        let title = format!("Note {i}");
        let text = if i % 9 == 0 { "ÄPFEL & more" } else { "" };
        assert_eq!(
            server
                .json("POST", "/notes", &json!({"title": title, "text": text}))
                .status,
            201
        );
    }
    let ids = |path: &str| {
        let found = server.get(path).json();
        let notes = found["notes"].as_array().expect("a list").clone();
        let ids = notes.iter().filter_map(|note| note["id"].as_u64());
        (
            found["total"].as_u64().unwrap_or(0),
            ids.collect::<Vec<_>>(),
        )
    };
    assert_eq!(ids("/notes?per_page=3"), (45, vec![45, 44, 43]));
    assert_eq!(ids("/notes?per_page=3&page=15"), (45, vec![3, 2, 1]));
    assert_eq!(ids("/notes?per_page=3&page=16"), (45, vec![]));
    assert_eq!(ids("/notes?page=4294967295&per_page=100"), (45, vec![]));
    assert_eq!(ids("/notes").1.len(), 20);
    assert_eq!(ids("/notes?q=%C3%A4pfel+%26"), (5, vec![45, 36, 27, 18, 9]));
    server.stop();
}

fn the_export_is_a_csv_file(runtime: &str) {
    let server = start(runtime, &[]);
    for (title, text) in [
        ("plain", ""),
        ("a, b", "say \"hi\"\nthere"),
        ("=cmd()", "-1"),
    ] {
        let draft = json!({"title": title, "text": text, "tags": ["x", "y"]});
        assert_eq!(server.json("POST", "/notes", &draft).status, 201);
    }
    let reply = server.get("/notes.csv");
    assert_eq!(
        reply.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        reply.header("content-disposition"),
        "attachment; filename=\"notes.csv\""
    );
    assert_eq!(reply.header("transfer-encoding"), "chunked");
    let rows: Vec<_> = reply.text().split_terminator("\r\n").collect();
    assert_eq!(rows[0], "id,title,text,tags,created,updated");
    assert!(
        rows[1].starts_with("3,\"'=cmd()\",\"'-1\",x y,20"),
        "{}",
        rows[1]
    );
    assert!(
        rows[2].starts_with("2,\"a, b\",\"say \"\"hi\"\"\nthere\",x y,20"),
        "{}",
        rows[2]
    );
    assert!(
        rows[3].starts_with("1,plain,,x y,20") && rows[3].ends_with('Z'),
        "{}",
        rows[3]
    );
    for i in 0..250 {
        server.json("POST", "/notes", &json!({"title": format!("more {i}")}));
    }
    // More than a batch: no row is lost or doubled where two meet.
    let rows = server.get("/notes.csv").text().matches("more ").count();
    assert_eq!(rows, 250);
    server.stop();
}

/// Asks for an export; what is said of it until it has ended.
fn export(server: &Server) -> Vec<Value> {
    let reply = server.ask("POST", "/exports", &[], b"");
    assert_eq!(reply.status, 202, "{}", reply.text());
    let mut seen = vec![reply.json()];
    let id = seen[0]["id"].as_str().expect("an id").to_owned();
    until("the export ends", || {
        let now = server.get(&format!("/exports/{id}")).json();
        let open = now["state"] == "pending" || now["state"] == "running";
        seen.push(now);
        !open
    });
    seen
}

fn an_export_in_the_background_is_retried_and_shows_how_far_it_is(runtime: &str) {
    let server = start(runtime, &["--rehearse"]);
    for i in 0..150 {
        server.json("POST", "/notes", &json!({"title": format!("note {i}")}));
    }
    let seen = export(&server);
    let last = seen.last().expect("seen");
    assert_eq!(
        (&last["state"], &last["attempt"]),
        (&json!("succeeded"), &json!(2)),
        "{last}"
    );
    let error = last["error"]
        .as_str()
        .expect("why the first attempt failed");
    assert!(error.contains("half-way"), "{error}");
    assert_eq!((&last["done"], &last["total"]), (&json!(150), &json!(150)));
    let halves = |job: &&Value| {
        job["done"]
            .as_u64()
            .is_some_and(|done| (1..150).contains(&done))
    };
    assert!(
        seen.iter().any(|job| halves(&job)),
        "no progress was seen: {seen:?}"
    );
    assert!(
        seen.iter()
            .any(|job| job["state"] == "pending" && job["error"].is_string()),
        "no retry was seen: {seen:?}"
    );
    // The retry went on where the first attempt ended: no row twice, none missing.
    let file = server.get(last["file"].as_str().expect("a file"));
    assert_eq!(file.text(), server.get("/notes.csv").text());
    server.stop();
}

fn an_export_is_the_same_file_and_one_at_a_time(runtime: &str) {
    let server = start(runtime, &["--store", "memory:"]);
    for i in 0..250 {
        server.json("POST", "/notes", &json!({"title": format!("note {i}")}));
    }
    let last = export(&server).pop().expect("seen");
    let file = server.get(last["file"].as_str().expect("a file"));
    assert_eq!(
        file.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(file.text(), server.get("/notes.csv").text());
    server.stop();

    let server = start(runtime, &["--rehearse"]);
    server.json("POST", "/notes", &json!({"title": "one"}));
    let ask = || server.ask("POST", "/exports", &[], b"").json()["id"].clone();
    let id = ask();
    assert_eq!(ask(), id, "one is under way");
    let early = server.get(&format!(
        "/exports/{}/notes.csv",
        id.as_str().expect("an id")
    ));
    assert_eq!(early.status, 409, "{}", early.text());
    for (path, status) in [("x", 400), ("01a206e5-0e76-762c-b68c-de3fc2c94a80", 404)] {
        assert_eq!(
            server.get(&format!("/exports/{path}")).status,
            status,
            "{path}"
        );
    }
    server.stop();
}

fn an_export_leaves_nothing_behind_unless_asked(runtime: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let left = || std::fs::read_dir(dir.path()).expect("it is there").count();
    let run = |args: &[&str]| {
        let server = Server::start_with(
            std::process::Command::new(env!("CARGO_BIN_EXE_quickstart"))
                .args(["--runtime", runtime, "--listen", "127.0.0.1:0"])
                .args(args)
                .env("TMPDIR", dir.path()),
        );
        assert_eq!(export(&server).pop().expect("seen")["state"], "succeeded");
        server
    };
    let server = run(&[]);
    assert_eq!(left(), 1, "a directory of its own");
    server.stop();
    assert_eq!(left(), 0, "it is removed");
    let jobs = dir.path().join("jobs.db");
    let url = format!("sqlite:{}", jobs.display());
    run(&["--store", &url]).stop();
    assert!(jobs.exists() && dir.path().join("jobs.db.exports").is_dir());
}

fn a_full_store_says_so(runtime: &str) {
    let server = start(runtime, &["--capacity", "2"]);
    let add = || server.json("POST", "/notes", &json!({"title": "t"})).status;
    assert_eq!([add(), add(), add()], [201, 201, 507]);
    assert_eq!(server.ask("DELETE", "/notes/1", &[], b"").status, 204);
    assert_eq!([add(), add()], [201, 507]);
    server.stop();
}

fn the_page_is_whole(runtime: &str) {
    let server = start(runtime, &[]);
    let page = server.get("/");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    for (path, kind) in [
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
    ] {
        assert!(page.text().contains(&format!("\"{path}\"")), "{path}");
        assert_eq!(server.get(path).header("content-type"), kind);
    }
    // Every element that the script asks for is on the page.
    let script = server.get("/page.js");
    for id in script
        .text()
        .split("at(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(page.text().contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(server.get("/healthz").text(), "ok\n");
    assert_eq!(server.get("/readyz").text(), "ready\n");
    server.stop();
}
