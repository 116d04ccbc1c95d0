//! The embedded job store: one SQLite file, shared by several processes on one host.
