//! What an operator does: `retry-dead`, `pause`, `resume`.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tideway::jobs::call::{Control, Cursor, Filter, Select};
use tideway::jobs::{Name, Start, State};

use crate::{Fail, Session};

/// Which queue.
#[derive(Args, Clone, Debug)]
pub(crate) struct Queue {
    /// The queue; the jobs of this program are all in the one called default
    #[arg(default_value = "default")]
    queue: Name,
}

#[derive(Serialize)]
struct Paused<'a> {
    queue: &'a Name,
    paused: bool,
}

impl Queue {
    pub(crate) async fn pause<R>(self, session: &Session<R>) -> Result<(), Fail> {
        let Self { queue } = self;
        session.jobs.control(&Control::Pause(queue.clone())).await?;
        session.say(
            &Paused {
                queue: &queue,
                paused: true,
            },
            || format!("paused: no worker starts a job of `{queue}`"),
        )
    }

    pub(crate) async fn resume<R>(self, session: &Session<R>) -> Result<(), Fail> {
        let Self { queue } = self;
        session
            .jobs
            .control(&Control::Resume(queue.clone()))
            .await?;
        session.say(
            &Paused {
                queue: &queue,
                paused: false,
            },
            || format!("resumed: workers start jobs of `{queue}`"),
        )
    }
}

/// Revives the dead, page by page. One whose unique key another job holds now is left dead.
pub(crate) async fn retry_dead<R>(session: &Session<R>) -> Result<(), Fail> {
    const PAGE: u32 = 500;
    let filter = Filter {
        state: Some(State::Dead),
        ..Filter::default()
    };
    let (mut revived, mut left) = (Vec::new(), Vec::new());
    let mut after = Cursor::default();
    loop {
        let select = Select::Filter {
            filter: filter.clone(),
            after,
            limit: PAGE,
        };
        let out = session
            .jobs
            .control(&Control::Revive(select, Start::Now))
            .await?;
        revived.extend(out.done);
        left.extend(out.left.into_iter().map(|(id, _)| id));
        match out.next {
            Some(next) => after = next,
            None => break,
        }
    }
    session.say(&json!({ "revived": revived, "left": left }), || {
        let s = if revived.len() == 1 { " runs" } else { "s run" };
        format!("{} job{s} again, {} were left", revived.len(), left.len())
    })
}
