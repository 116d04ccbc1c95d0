//! The adapter suite on tokio with threads.

tideway_conformance::adapter_suite! {
    name: tokio_multi,
    runtime: tideway_tokio::Tokio::current(),
    block_on: |task| tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(task),
}
