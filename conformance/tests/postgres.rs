//! What the PostgreSQL store does beyond the suite: with its server, its schema, its connections, and beside the
//! specification.

#[path = "postgres/world.rs"]
mod world;

#[path = "postgres/a_damaged_record_ends_dead_and_the_others_go_on.rs"]
mod a_damaged_record_ends_dead_and_the_others_go_on;
#[path = "postgres/a_hint_reaches_other_processes.rs"]
mod a_hint_reaches_other_processes;
#[path = "postgres/a_lost_reply_is_no_lost_call.rs"]
mod a_lost_reply_is_no_lost_call;
#[path = "postgres/a_schema_of_another_version_is_refused.rs"]
mod a_schema_of_another_version_is_refused;
#[path = "postgres/a_server_that_comes_back_is_used_again.rs"]
mod a_server_that_comes_back_is_used_again;
#[path = "postgres/a_success_may_forget_the_job.rs"]
mod a_success_may_forget_the_job;
#[path = "postgres/jobs_come_with_the_callers_transaction.rs"]
mod jobs_come_with_the_callers_transaction;
#[path = "postgres/measure.rs"]
mod measure;
#[path = "postgres/what_is_wrong_with_a_server_is_said.rs"]
mod what_is_wrong_with_a_server_is_said;
