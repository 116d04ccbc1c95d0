//! The rules of a job store, each shown in one file on the model, in time that the test sets.

#[path = "rules/a_claim_takes_due_jobs_in_order.rs"]
mod a_claim_takes_due_jobs_in_order;
#[path = "rules/a_cron_slot_fires_once.rs"]
mod a_cron_slot_fires_once;
#[path = "rules/a_hint_follows_every_way_into_a_lane.rs"]
mod a_hint_follows_every_way_into_a_lane;
#[path = "rules/a_job_waits_until_others_have_ended.rs"]
mod a_job_waits_until_others_have_ended;
#[path = "rules/a_lease_that_ran_out_is_listed_with_its_cohort.rs"]
mod a_lease_that_ran_out_is_listed_with_its_cohort;
#[path = "rules/a_limit_parks_what_it_blocks.rs"]
mod a_limit_parks_what_it_blocks;
#[path = "rules/a_listing_goes_on_where_it_stopped.rs"]
mod a_listing_goes_on_where_it_stopped;
#[path = "rules/a_person_may_cancel_delay_revive_and_delete.rs"]
mod a_person_may_cancel_delay_revive_and_delete;
#[path = "rules/a_repeated_claim_returns_the_same_jobs.rs"]
mod a_repeated_claim_returns_the_same_jobs;
#[path = "rules/a_settle_applies_to_the_current_lease_alone.rs"]
mod a_settle_applies_to_the_current_lease_alone;
#[path = "rules/a_unique_key_is_held_once.rs"]
mod a_unique_key_is_held_once;
#[path = "rules/an_enqueue_may_be_repeated.rs"]
mod an_enqueue_may_be_repeated;
#[path = "rules/any_calls_in_any_order_keep_the_rules.rs"]
mod any_calls_in_any_order_keep_the_rules;
#[path = "rules/calls.rs"]
mod calls;
#[path = "rules/clones_share_the_store.rs"]
mod clones_share_the_store;
#[path = "rules/plain_search.rs"]
mod plain_search;
#[path = "rules/time_ends_what_it_should.rs"]
mod time_ends_what_it_should;
#[path = "rules/world.rs"]
mod world;
