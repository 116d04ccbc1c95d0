//! The adapter suite on tokio without threads.

tideway_conformance::adapter_suite! {
    name: tokio_current,
    runtime: tideway_tokio::Tokio::current(),
    block_on: |task| tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(task),
}
