//! What the fuzz targets check, over the corpus they begin with: on a stable compiler, on every run, with every input that
//! was ever a finding.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "there it is a crate of its own")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::ws;

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 4] = [
    ("ws_bytes", ws::bytes),
    ("ws_frames", ws::frames),
    ("ws_acts", ws::acts),
    ("ws_handshake", ws::handshake),
];

#[test]
fn the_corpus_breaks_no_law() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let (mut files, mut bytes) = (0, 0);
    for (target, check) in TARGETS {
        let before = files;
        for file in fs::read_dir(corpus.join(target)).expect("a corpus for each target") {
            let path = file.expect("a directory").path();
            println!("{}", path.display());
            let input = fs::read(path).expect("a file");
            check(&input);
            files += 1;
            bytes += input.len();
        }
        assert!(files > before, "{target} has none");
    }
    assert!(
        files < 200 && bytes < 200 << 10,
        "keep it small: {files} files of {bytes} bytes"
    );
}
