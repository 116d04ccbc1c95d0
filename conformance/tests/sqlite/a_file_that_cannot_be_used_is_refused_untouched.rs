//! What is wrong with a file is said in words, and nothing in it changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

use tideway::jobs::{JobStore, StoreError};
use tideway_sqlite::{Options, Sqlite};

use crate::world::{World, as_child, block_on, child, enqueue, ms, plain, record, sound};

fn refused(world: &World) -> String {
    let before = fs::read(world.path()).ok();
    let error = Sqlite::open(world.path(), world.options()).unwrap_err();
    assert_eq!(fs::read(world.path()).ok(), before, "the file has changed");
    let StoreError::Fatal(text) = error else {
        panic!("{error:?}")
    };
    text.into()
}

#[test]
fn a_newer_schema() {
    let world = World::new();
    enqueue(&world.open(), &[plain(1)]);
    world.raw().pragma_update(None, "user_version", 2).unwrap();
    let text = refused(&world);
    assert!(
        text.contains("schema version 2, this program knows 1"),
        "{text}"
    );
}

#[test]
fn the_database_of_another_program() {
    let world = World::new();
    world
        .raw()
        .execute_batch("CREATE TABLE notes (text)")
        .unwrap();
    let text = refused(&world);
    assert!(text.contains("another program"), "{text}");
}

#[test]
fn a_file_that_is_no_database() {
    let world = World::new();
    fs::write(world.path(), "Dear diary, ".repeat(1000)).unwrap();
    let text = refused(&world);
    assert!(text.contains("not an SQLite database"), "{text}");
}

#[test]
fn a_directory_that_is_not_there() {
    let world = World::new();
    let error = Sqlite::open(world.dir.path().join("no/jobs.db"), world.options()).unwrap_err();
    let StoreError::Fatal(text) = error else {
        panic!("{error:?}")
    };
    assert!(text.contains("does its directory exist"), "{text}");
}

#[test]
fn a_damaged_page_fails_the_call_that_meets_it() {
    let world = World::new();
    enqueue(&world.open(), &(1..1000).map(plain).collect::<Vec<_>>());
    let mut bytes = fs::read(world.path()).unwrap();
    // Records and indexes, none of the schema.
    bytes[60 * 4096..].fill(0x5a);
    fs::write(world.path(), bytes).unwrap();
    let store = world.open();
    let error = block_on(store.list(&Default::default(), &Default::default(), 1000)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Fatal(text) if text.contains("damaged")),
        "{error:?}"
    );
}

#[test]
fn a_file_that_another_process_has_locked_is_not_available_for_the_moment() {
    let world = World::new();
    let options = world.options().busy_timeout(ms(50));
    let store = Sqlite::open(world.path(), options).unwrap();
    let other = world.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = block_on(store.enqueue(&[plain(1)])).unwrap_err();
    assert!(
        matches!(&error, StoreError::Transient(text) if text.contains("locked")),
        "{error:?}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    enqueue(&store, &[plain(1)]);
    sound(&store);
}

const CHILD: &str = "a_file_that_cannot_be_used_is_refused_untouched::the_one_that_may_not_write";

#[test]
fn the_one_that_may_not_write() {
    let Some(path) = as_child(CHILD) else { return };
    println!("said: {:?}", Sqlite::open(path, Options::default()).err());
}

/// In a process without privileges, as none of these bind those who have them.
#[test]
fn a_file_that_may_only_be_read() {
    let world = World::new();
    enqueue(&world.open(), &[plain(1)]);
    let program = world.dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(world.path(), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(world.dir.path(), Permissions::from_mode(0o555)).unwrap();
    let mut child = child(&program, CHILD, &world.path());
    if fs::metadata(&program).unwrap().uid() == 0 {
        child.uid(65534).gid(65534);
    }
    let before = fs::read(world.path()).unwrap();
    let out = child.current_dir("/").output().unwrap();
    fs::set_permissions(world.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("Fatal") && text.contains("cannot be written"),
        "{text}"
    );
    assert_eq!(fs::read(world.path()).unwrap(), before);
    fs::set_permissions(world.path(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(record(&world.open(), 1).id(), plain(1).spec.id);
}
