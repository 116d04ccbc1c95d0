//! Ours on smol; the runner sets `SMOL_THREADS=1`.

fn main() -> std::io::Result<()> {
    let args = bench_common::args();
    smol::block_on(async {
        let listen = args.listen.to_string();
        tideway_smol::serve(peer_ours_app::app(&args))
            .on_ready(move |_| bench_common::announce("ours-smol", &args))
            .bind(&listen)
            .await
            .map(drop)
    })
}
