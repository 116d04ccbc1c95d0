//! Background jobs as processes on one store: killed, frozen, stopped and poisoned, and judged from outside
//! by their journals and the store.
//!
//! Sizes are those of an ordinary test run; with `TIDEWAY_TORTURE=1` they are the full ones
//! (`scripts/jobs-torture`). Nothing is asserted of time but what the acceptance of the job store names.

mod journal;
mod site;

mod a_finish_that_comes_too_late_changes_nothing;
mod a_killed_workers_job_is_started_again;
mod a_poison_job_buries_no_other;
mod a_pooler_is_used_if_it_is_said;
mod a_server_that_dies_loses_nothing;
mod a_stop_lets_jobs_end_or_gives_them_back;
mod every_slot_of_a_schedule_runs_once;
mod kills_lose_no_job;
mod what_is_wrong_is_said;
