//! Ours on async-std; the runner sets `ASYNC_STD_THREAD_COUNT=1`.

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    async_std::task::block_on(async {
        let listen = args.listen.to_string();
        tideway_async_std::serve(peer_ours_app::app(&args))
            .on_ready(move |_| bench_common::announce("ours-async-std", &args))
            .bind(&listen)
            .await
            .map(drop)
    })
}
