//! Kills a process that writes to the store, at many moments, and reads what is left.

mod evidence;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use evidence::{floor, origin, resolution, trust_data};
use portcullis::store::Store;
use portcullis_policy::Digest;

/// Tells the test, run again as its own child, where to write.
const CHILD: &str = "PORTCULLIS_TEST_STORE_CHILD";

/// Writes until it is killed: announces each version once it is said to be durable.
fn write_forever(dir: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(dir).unwrap();
        let mut version = floor(&store, "app").unwrap_or(0);
        loop {
            version += 1;
            store.put_resolution(resolution(
                None,
                &format!("docker.io/library/app:{}", version % 50),
            ));
            let mut other = origin();
            other.digest = Digest::of(&version.to_be_bytes());
            store.put_origin(other);
            store.put_notary(trust_data("app", version)).await.unwrap();
            let mut out = std::io::stdout();
            writeln!(out, "durable {version}").unwrap();
            out.flush().unwrap();
        }
    })
}

#[test]
fn what_was_said_to_be_durable_survives_a_kill_at_any_moment() {
    if let Some(dir) = std::env::var_os(CHILD) {
        write_forever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut reached = 0;
    for round in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "what_was_said_to_be_durable_survives_a_kill_at_any_moment",
            ])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let durable = |line: &str| line.rsplit_once("durable ")?.1.parse::<u64>().ok();
        let mut said = 0;
        for _ in 0..=round % 7 {
            let line = lines
                .by_ref()
                .map(Result::unwrap)
                .find_map(|line| durable(&line));
            said = line.expect("the child writes until it is killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it announced between the last line read and the kill counts too.
        for line in lines.map_while(Result::ok) {
            said = durable(&line).unwrap_or(said);
        }
        let store = Store::open(dir.path()).unwrap();
        let health = store.health();
        assert_eq!((health.set_aside, health.damaged_records), (None, 0));
        let found = floor(&store, "app").unwrap();
        assert!(
            found >= said,
            "round {round}: {found} on disk, {said} announced"
        );
        let collection = &store.notary(evidence::SERVER, "app").unwrap().collection;
        assert_eq!(
            collection.timestamp,
            found.to_string(),
            "collection and floors go together"
        );
        assert_eq!(store.origins(&Digest::of(&said.to_be_bytes())).len(), 1);
        assert!(found > reached);
        reached = found;
    }
}
