//! The adapter suite on async-std.

tideway_conformance::adapter_suite! {
    name: async_std,
    runtime: tideway_async_std::AsyncStd::default(),
    block_on: ::async_std::task::block_on,
}
