//! `tideway_smol::run_with`, from its first connection to SIGTERM and SIGINT.

#[path = "../../async-io/tests/support/program.rs"]
mod program;

#[test]
fn sigterm_then_in_another_life_sigint() {
    for signal in ["TERM", "INT"] {
        program::serves_until(signal, |app, config, ready| {
            tideway_smol::run_with(app, config, move |at| ready.send(at).unwrap())
        });
    }
}
