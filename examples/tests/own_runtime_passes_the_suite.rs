//! The runtime of our own keeps every guarantee of an adapter: one line says so.

tideway_conformance::adapter_suite! {
    name: own_runtime,
    runtime: tideway_examples::own_runtime::Own::current(),
    block_on: tideway_examples::own_runtime::block_on,
}
