//! The SQLite job store: equal to the model in memory, and what only a file can do or suffer.

#[path = "sqlite/a_call_is_durable_once_it_is_answered.rs"]
mod a_call_is_durable_once_it_is_answered;
#[path = "sqlite/a_damaged_record_ends_dead_and_the_others_go_on.rs"]
mod a_damaged_record_ends_dead_and_the_others_go_on;
#[path = "sqlite/a_file_that_cannot_be_used_is_refused_untouched.rs"]
mod a_file_that_cannot_be_used_is_refused_untouched;
#[path = "sqlite/a_full_disk_loses_nothing.rs"]
mod a_full_disk_loses_nothing;
#[path = "sqlite/a_hint_reaches_every_handle_of_the_file.rs"]
mod a_hint_reaches_every_handle_of_the_file;
#[path = "sqlite/many_handles_share_one_file.rs"]
mod many_handles_share_one_file;
#[path = "sqlite/one_bad_call_does_not_spoil_those_beside_it.rs"]
mod one_bad_call_does_not_spoil_those_beside_it;
#[path = "sqlite/the_thread_ends_with_the_last_handle.rs"]
mod the_thread_ends_with_the_last_handle;
#[path = "sqlite/world.rs"]
mod world;
