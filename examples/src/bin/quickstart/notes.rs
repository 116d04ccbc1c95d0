//! `/notes` and `/notes/{id}` as JSON.

use std::num::NonZero;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tideway::extract::{Json, Path, Query, State};
use tideway::http::StatusCode;
use tideway::response::{Created, NoContent};
use tideway::ws::Hub;
use tideway::{Clock, Problem, Routes, get};

use crate::draft::Draft;
use crate::live::changed;
use crate::store::{Note, Store};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(search).post(add))
        .route("/{id}", get(show).put(replace).delete(remove))
}

#[derive(Deserialize)]
#[serde(default)]
struct Search {
    q: String,
    page: NonZero<u32>,
    per_page: NonZero<u32>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            q: String::new(),
            page: NonZero::<u32>::MIN,
            per_page: const { NonZero::new(20).expect("20 is not 0") },
        }
    }
}

const PER_PAGE: u32 = 100;

#[derive(Serialize)]
struct Found {
    total: usize,
    page: u32,
    per_page: u32,
    notes: Vec<Arc<Note>>,
}

/// Notes that say `q`, newest first; without `q` all of them.
async fn search(
    State(store): State<Store>,
    Query(search): Query<Search>,
) -> Result<Json<Found>, Problem> {
    let (page, per_page) = (search.page.get(), search.per_page.get());
    if per_page > PER_PAGE {
        let detail = format!("`per_page` is {per_page}; at most {PER_PAGE} notes make a page");
        return Err(Problem::new(StatusCode::BAD_REQUEST).detail(detail));
    }
    let q = search.q.trim().to_lowercase();
    let mut notes = store.all();
    notes.retain(|note| note.says(&q));
    let total = notes.len();
    let skipped = u64::from(page - 1) * u64::from(per_page);
    let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
    let notes = notes.into_iter().skip(skipped).take(per_page as usize);
    Ok(Json(Found {
        total,
        page,
        per_page,
        notes: notes.collect(),
    }))
}

async fn add(
    State(store): State<Store>,
    clock: Clock,
    hub: Hub,
    draft: Draft,
) -> Result<Created<Json<Arc<Note>>>, Problem> {
    let note = store.add(draft, clock.now().wall).map_err(|full| {
        Problem::new(StatusCode::INSUFFICIENT_STORAGE).detail(format!(
            "there are {} notes already; delete some first",
            full.capacity
        ))
    })?;
    changed(&hub)?;
    Ok(Created::at(format!("/notes/{}", note.id), Json(note)))
}

fn missing(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND)
        .detail(format!("there is no note {id}; list them at /notes"))
}

async fn show(State(store): State<Store>, Path(id): Path<u64>) -> Result<Json<Arc<Note>>, Problem> {
    store.get(id).map(Json).ok_or_else(|| missing(id))
}

async fn replace(
    State(store): State<Store>,
    clock: Clock,
    Path(id): Path<u64>,
    hub: Hub,
    draft: Draft,
) -> Result<Json<Arc<Note>>, Problem> {
    let note = store.replace(id, draft, clock.now().wall);
    let note = note.ok_or_else(|| missing(id))?;
    changed(&hub)?;
    Ok(Json(note))
}

async fn remove(
    State(store): State<Store>,
    Path(id): Path<u64>,
    hub: Hub,
) -> Result<NoContent, Problem> {
    store.remove(id).ok_or_else(|| missing(id))?;
    changed(&hub)?;
    Ok(NoContent)
}
