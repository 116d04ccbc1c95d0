//! What the fuzz targets check, as functions over bytes: `Err` is unknown here, a broken law panics. They need no
//! fuzzer: `conformance/tests/fuzz_corpus.rs` gives them the corpus on every run of the tests.

pub mod ws;
