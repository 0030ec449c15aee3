//! Writes the fixtures that each target begins from into `corpus/<target>/`.

use std::fs;
use std::path::Path;

use portcullis_fuzz::hostile::TARGETS;

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in TARGETS {
        let folder = corpus.join(target.name);
        fs::create_dir_all(&folder).expect("the corpus can be written");
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed.bytes)
                .expect("the corpus can be written");
        }
    }
    let wire = corpus.join("wire");
    fs::create_dir_all(&wire).expect("the corpus can be written");
    fs::write(wire.join("seed-000"), b"\x0a\x0a\x0a\x08nginx:10").expect("the corpus can be written");
}
