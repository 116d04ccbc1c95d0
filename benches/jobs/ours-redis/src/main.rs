//! Ours on tokio, in Redis.

use tideway_redis::{Options, Redis};

fn main() {
    let args = bench_served::args();
    bench_ours::main(&args, false, |net| {
        let opened = Redis::open(net, &args.url, Options::default());
        async { opened.await.expect("the store opens") }
    });
}
