//! Ours on tokio, in PostgreSQL: at its usual retention, or with jobs deleted when they succeed.

use tideway_postgres::{Options, Postgres};

fn main() {
    let args = bench_served::args();
    let deleted = args.setting == "delete";
    bench_ours::main(&args, deleted, |net| {
        let options = Options::default().delete_succeeded(deleted);
        let opened = Postgres::open(net, &args.url, options);
        async { opened.await.expect("the store opens") }
    });
}
