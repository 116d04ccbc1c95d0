//! Any bytes, as a connection's stream.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tideway_fuzz::ws::bytes(data));
