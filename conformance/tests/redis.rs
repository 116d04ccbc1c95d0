//! The Redis job store: equal to the model in memory, and what only a server can do or suffer.

#[path = "redis/a_blocked_job_waits_though_it_has_expired.rs"]
mod a_blocked_job_waits_though_it_has_expired;
#[path = "redis/a_damaged_record_ends_dead_and_the_others_go_on.rs"]
mod a_damaged_record_ends_dead_and_the_others_go_on;
#[path = "redis/a_failover_that_lost_a_claim_fences_the_zombie.rs"]
mod a_failover_that_lost_a_claim_fences_the_zombie;
#[path = "redis/a_full_server_takes_no_jobs_and_lets_workers_go_on.rs"]
mod a_full_server_takes_no_jobs_and_lets_workers_go_on;
#[path = "redis/a_killed_server_is_found_again.rs"]
mod a_killed_server_is_found_again;
#[path = "redis/a_lost_reply_is_told_by_a_repeat.rs"]
mod a_lost_reply_is_told_by_a_repeat;
#[path = "redis/a_promoted_replica_is_worked_on.rs"]
mod a_promoted_replica_is_worked_on;
#[path = "redis/a_server_that_cannot_keep_jobs_is_refused.rs"]
mod a_server_that_cannot_keep_jobs_is_refused;
#[path = "redis/a_server_that_hangs_up_is_not_overrun.rs"]
mod a_server_that_hangs_up_is_not_overrun;
#[path = "redis/a_slot_that_moves_is_waited_for.rs"]
mod a_slot_that_moves_is_waited_for;
#[path = "redis/calls_have_deadlines.rs"]
mod calls_have_deadlines;
#[path = "redis/scripts_are_loaded_again.rs"]
mod scripts_are_loaded_again;
#[path = "redis/words_left_by_a_dead_caller_are_delivered.rs"]
mod words_left_by_a_dead_caller_are_delivered;
#[path = "redis/world.rs"]
mod world;
