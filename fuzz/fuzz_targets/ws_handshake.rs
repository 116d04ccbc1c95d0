//! Any headers, as a handshake.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tideway_fuzz::ws::handshake(data));
