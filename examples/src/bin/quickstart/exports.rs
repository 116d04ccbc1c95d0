//! `/exports`: asks for an export, says how far it has come, hands out its file.

use std::io::{self, Read as _};

use futures_util::stream;
use serde::Serialize;
use tideway::bytes::Bytes;
use tideway::extract::{Json, Path, State};
use tideway::http::StatusCode;
use tideway::jobs::{Id, Job as _, Jobs, Record, State as At};
use tideway::response::Accepted;
use tideway::{Body, IntoResponse, Problem, Routes, get, post};

use crate::csv;
use crate::export::{ATTEMPTS, Export, Files, Progress};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", post(begin))
        .route("/{id}", get(show))
        .route("/{id}/notes.csv", get(download))
}

/// An export as it is shown.
#[derive(Serialize)]
struct Shown {
    id: Id,
    state: At,
    attempt: u32,
    attempts: u32,
    done: usize,
    total: usize,
    /// Why the latest attempt that failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<str>>,
    /// Where the file is, once it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl Shown {
    fn of(job: &Record) -> Self {
        let id = job.id();
        let progress: Option<Progress> = serde_json::from_slice(&job.progress).ok();
        let (done, total) = progress.map_or((0, 0), |at| (at.done, at.total));
        let file = format!("/exports/{id}/notes.csv");
        Self {
            id,
            state: job.state,
            attempt: job.attempt,
            attempts: ATTEMPTS,
            done,
            total,
            error: job.errors.last().map(|failure| failure.text.clone()),
            file: (job.state == At::Succeeded).then_some(file),
        }
    }
}

async fn begin(jobs: Jobs, State(files): State<Files>) -> Result<Accepted<Json<Shown>>, Problem> {
    let receipt = jobs.enqueue(Export { life: files.life }).await?;
    Ok(Accepted(Json(Shown::of(&find(&jobs, receipt.id).await?))))
}

async fn show(jobs: Jobs, Path(id): Path<Id>) -> Result<Json<Shown>, Problem> {
    Ok(Json(Shown::of(&find(&jobs, id).await?)))
}

async fn find(jobs: &Jobs, id: Id) -> Result<Record, Problem> {
    let unavailable = |error| Problem::new(StatusCode::SERVICE_UNAVAILABLE).source(error);
    let job = jobs.get(id).await.map_err(unavailable)?;
    let job = job.filter(|job| &*job.spec.kind == Export::NAME);
    job.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND).detail(format!(
            "there is no export {id}; ask for one with POST /exports"
        ))
    })
}

async fn download(
    jobs: Jobs,
    State(files): State<Files>,
    Path(id): Path<Id>,
) -> Result<impl IntoResponse, Problem> {
    let job = find(&jobs, id).await?;
    if job.state != At::Succeeded {
        let detail = format!(
            "the export {id} is {}; see /exports/{id}",
            job.state.as_str()
        );
        return Err(Problem::new(StatusCode::CONFLICT).detail(detail));
    }
    let mut file = files.open(id).map_err(|error| {
        Problem::new(StatusCode::GONE)
            .detail(format!(
                "the file of the export {id} is gone; ask for another"
            ))
            .source(error)
    })?;
    // Local and just written: reading it does not keep the thread waiting.
    let chunks = std::iter::from_fn(move || {
        let mut chunk = vec![0; 64 * 1024];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok::<_, io::Error>(Bytes::from(chunk)))
            }
            Err(error) => Some(Err(error)),
        }
    });
    Ok((csv::HEADERS, Body::stream(stream::iter(chunks))))
}
