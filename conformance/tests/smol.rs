//! The adapter suite on smol.

tideway_conformance::adapter_suite! {
    name: smol,
    runtime: tideway_smol::Smol::default(),
    block_on: ::smol::block_on,
}
