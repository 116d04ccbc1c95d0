//! What is no handler does not compile, and the compiler says why. Renew the snapshots with
//! `TRYBUILD=overwrite cargo test -p tideway --test compile_fail`.

#[test]
fn the_compiler_names_the_culprit() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
