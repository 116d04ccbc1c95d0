//! Ours on tokio's current-thread runtime.

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listen = args.listen.to_string();
        tideway_tokio::serve(peer_ours_app::app(&args))
            .on_ready(move |_| bench_common::announce("ours-tokio", &args))
            .bind(&listen)
            .await
            .map(drop)
    })
}
