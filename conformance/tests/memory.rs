//! The rules of a job store, each shown in one file on the model, in time that the test sets.

#[path = "memory/a_claim_takes_due_jobs_in_order.rs"]
mod a_claim_takes_due_jobs_in_order;
#[path = "memory/a_cron_slot_fires_once.rs"]
mod a_cron_slot_fires_once;
#[path = "memory/a_hint_follows_every_way_into_a_lane.rs"]
mod a_hint_follows_every_way_into_a_lane;
#[path = "memory/a_job_waits_until_others_have_ended.rs"]
mod a_job_waits_until_others_have_ended;
#[path = "memory/a_lease_that_ran_out_is_listed_with_its_cohort.rs"]
mod a_lease_that_ran_out_is_listed_with_its_cohort;
#[path = "memory/a_limit_parks_what_it_blocks.rs"]
mod a_limit_parks_what_it_blocks;
#[path = "memory/a_listing_goes_on_where_it_stopped.rs"]
mod a_listing_goes_on_where_it_stopped;
#[path = "memory/a_person_may_cancel_delay_revive_and_delete.rs"]
mod a_person_may_cancel_delay_revive_and_delete;
#[path = "memory/a_repeated_claim_returns_the_same_jobs.rs"]
mod a_repeated_claim_returns_the_same_jobs;
#[path = "memory/a_settle_applies_to_the_current_lease_alone.rs"]
mod a_settle_applies_to_the_current_lease_alone;
#[path = "memory/a_unique_key_is_held_once.rs"]
mod a_unique_key_is_held_once;
#[path = "memory/an_enqueue_may_be_repeated.rs"]
mod an_enqueue_may_be_repeated;
#[path = "memory/any_calls_in_any_order_keep_the_rules.rs"]
mod any_calls_in_any_order_keep_the_rules;
#[path = "job_stores/calls.rs"]
mod calls;
#[path = "memory/clones_share_the_store.rs"]
mod clones_share_the_store;
#[path = "memory/plain_search.rs"]
mod plain_search;
#[path = "job_stores/short.rs"]
mod short;
#[path = "memory/time_ends_what_it_should.rs"]
mod time_ends_what_it_should;
#[path = "memory/world.rs"]
mod world;
