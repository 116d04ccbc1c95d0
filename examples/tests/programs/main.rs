//! Every example program, started as a user starts it and asked over a socket: no program is shown that
//! does not do what it prints.

mod client;
mod server;

mod browser;
mod hello;
mod nodes;
mod probe;
mod quickstart;
mod readme;
mod ws_echo_client;

/// Makes each `fn(runtime: &str)` a test on every runtime.
macro_rules! on_each_runtime {
    ($($test:ident,)*) => {
        $crate::on_each_runtime! { @ tokio "tokio" [$($test)*] }
        $crate::on_each_runtime! { @ async_std "async-std" [$($test)*] }
        $crate::on_each_runtime! { @ smol "smol" [$($test)*] }
    };
    (@ $module:ident $runtime:literal [$($test:ident)*]) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test($runtime);
                }
            )*
        }
    };
}
pub(crate) use on_each_runtime;
