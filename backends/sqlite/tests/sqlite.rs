//! The SQLite job store: equal to the model in memory, and what only a file can do or suffer.

#[path = "sqlite/any_calls_have_the_answers_of_the_model.rs"]
mod any_calls_have_the_answers_of_the_model;
#[path = "sqlite/world.rs"]
mod world;
