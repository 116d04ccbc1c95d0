//! Anything that may happen to a connection, in any order.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tideway_fuzz::ws::acts(data));
