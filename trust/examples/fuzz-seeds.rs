//! Writes the fixtures that the fuzz targets begin from into `fuzz/corpus/<target>/`.

#[path = "../tests/suite/hostile/mod.rs"]
#[allow(dead_code, reason = "the targets are run by the fuzzer")]
mod hostile;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let write = |target: &str, number: usize, bytes: &[u8]| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(format!("seed-{number:03}")), bytes))
            .with_context(|| format!("writing {}", folder.display()))
    };
    for target in hostile::TARGETS {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            write(target.name, number, &seed.bytes)?;
        }
    }
    // A PullImageRequest.
    write("wire", 0, b"\x0a\x0a\x0a\x08nginx:10")
}
