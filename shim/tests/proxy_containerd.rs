//! The same calls to a real containerd, direct and through the proxy: the answers are equal.
//!
//! containerd 1.6 from PATH must be there; a 2.x is looked for where tests/setup.sh unpacks it.

mod proxy_support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use portcullis_proto::code;
use proxy_support::*;

/// A private containerd, killed when dropped. NRI is off: its socket has one fixed path for the whole machine.
struct Containerd {
    child: Child,
    socket: PathBuf,
}

impl Containerd {
    async fn start(binary: &Path, dir: &Path) -> Self {
        let socket = dir.join("containerd.sock");
        let config = dir.join("config.toml");
        let at = dir.display();
        std::fs::write(
            &config,
            format!(
                "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n\
                 [grpc]\naddress = \"{at}/containerd.sock\"\n\
                 [ttrpc]\naddress = \"{at}/containerd.sock.ttrpc\"\n\
                 [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{at}/opt\"\n\
                 [plugins.\"io.containerd.nri.v1.nri\"]\ndisable = true\n\
                 [plugins.\"io.containerd.grpc.v1.cri\"]\nstream_server_port = \"0\"\n\
                 disable_apparmor = true\nrestrict_oom_score_adj = true\n"
            ),
        )
        .unwrap();
        let log = std::fs::File::create(dir.join("containerd.log")).unwrap();
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("containerd must be installed for this test");
        let mut started = Self { child, socket };
        started.ready(dir).await;
        started
    }

    /// Waits until CRI answers.
    async fn ready(&mut self, dir: &Path) {
        for _ in 0..600 {
            if let Ok(stream) = std::os::unix::net::UnixStream::connect(&self.socket) {
                let mut client = Client::over(stream).await;
                let call = request(VERSION, full(framed(b"")));
                if client
                    .send(call)
                    .await
                    .is_ok_and(|answer| answer.code() == 0)
                {
                    return;
                }
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{}", log(dir));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("containerd does not become ready: {}", log(dir));
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What containerd said last.
fn log(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join("containerd.log")).unwrap_or_default();
    let skip = log.lines().count().saturating_sub(5);
    log.lines().skip(skip).collect::<Vec<_>>().join("\n")
}

/// The containerds to compare with.
fn binaries() -> Vec<PathBuf> {
    let peers = std::env::var_os("PORTCULLIS_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers"),
        PathBuf::from,
    );
    let second = peers.join("usr/bin/containerd");
    let mut binaries = vec!["containerd".into()];
    if second.exists() {
        binaries.push(second);
    } else {
        eprintln!(
            "SKIPPED with containerd 2.x: there is none at {}",
            second.display()
        );
    }
    binaries
}

/// `ImageSpec{image}` as field 1 of a request.
fn image(name: &str) -> Bytes {
    let field = |bytes: &[u8]| [&[0x0a, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    field(&field(name.as_bytes())).into()
}

/// Calls whose answers do not change from one to the next.
fn calls() -> Vec<http::Request<Body>> {
    let unary = |path: &str, message: &[u8]| request(path, full(framed(message)));
    let gzip = || full(frame_with(1, 3, b"abc"));
    vec![
        unary(VERSION, b"\x0a\x040.1\0\xfa\x01\x01x"),
        // Not verbose: the order of that map changes from call to call.
        unary("/runtime.v1.RuntimeService/Status", b""),
        unary("/runtime.v1.RuntimeService/ListContainers", b""),
        unary(LIST, b""),
        unary("/runtime.v1.ImageService/ImageStatus", &image("absent:1")),
        // An error with a text, from a method of the table that this version may not have, and from bad bytes.
        unary("/runtime.v1.RuntimeService/RuntimeConfig", b""),
        unary("/runtime.v1.RuntimeService/UpdatePodSandboxResources", b""),
        unary("/runtime.v1.RuntimeService/ContainerStatus", b"\x0a\x03abc"),
        unary("/runtime.v1.ImageService/ImageStatus", b"\xff\xff"),
        request("/runtime.v1.ImageService/ImageStatus", gzip()),
        // Gated, forwarded unread or with a ticket.
        unary(PULL, &image("UPPER/case:not valid")),
        unary(CREATE, b""),
        unary("/runtime.v1.RuntimeService/StartContainer", b"\x0a\x03abc"),
        unary(REMOVE, &image("absent:1")),
    ]
}

#[tokio::test]
async fn answers_through_the_proxy_equal_direct_ones() {
    for binary in binaries() {
        let dir = tempfile::tempdir().unwrap();
        let containerd = Containerd::start(&binary, dir.path()).await;
        for gate in [Gate::open(), Gate::ticketed()] {
            let proxy = Running::start(dir.path(), &containerd.socket, gate);
            let mut direct = Client::connect(&containerd.socket).await;
            let mut through = Client::connect(&proxy.socket).await;
            for (one, two) in calls().into_iter().zip(calls()) {
                let path = one.uri().path().to_owned();
                let expected = direct.send(one).await.unwrap();
                let answer = through.send(two).await.unwrap();
                assert_eq!(answer, expected, "{} {path}", binary.display());
            }
            drop(through);
            proxy.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_not_grpc_gets_the_status_of_a_current_containerd() {
    for binary in binaries() {
        let dir = tempfile::tempdir().unwrap();
        let containerd = Containerd::start(&binary, dir.path()).await;
        let proxy = Running::start(dir.path(), &containerd.socket, Gate::open());
        let mut direct = Client::connect(&containerd.socket).await;
        let mut through = Client::connect(&proxy.socket).await;
        let json = || {
            let mut call = request(VERSION, full(framed(b"")));
            call.headers_mut()
                .insert("content-type", "application/json".parse().unwrap());
            call
        };
        let get = || {
            let mut call = request(VERSION, full(framed(b"")));
            *call.method_mut() = http::Method::GET;
            call
        };
        for (name, call) in [("json", json as fn() -> _), ("get", get)] {
            let answer = through.send(call()).await.unwrap();
            // The older grpc-go of Debian's 1.6 resets the first stream and serves the second.
            match direct.send(call()).await {
                Ok(expected) if expected.http != 200 => {
                    let expected = (expected.http, expected.code());
                    assert_eq!(
                        (answer.http, answer.code()),
                        expected,
                        "{} {name}",
                        binary.display()
                    );
                }
                _ => assert!(answer.http.is_client_error()),
            }
        }
        // 1.6 has no decompressor; 2.x inflates, so what the gate cannot read must not reach it.
        let gzip = || {
            let mut call = request(PULL, full(frame_with(1, 3, b"abc")));
            call.headers_mut()
                .insert("grpc-encoding", "gzip".parse().unwrap());
            call
        };
        assert_ne!(direct.send(gzip()).await.unwrap().code(), code::OK);
        assert_eq!(
            through.send(gzip()).await.unwrap().code(),
            code::UNIMPLEMENTED
        );
    }
}

/// What makes a path-agnostic proxy a bypass: the same socket serves containerd's own API.
#[tokio::test]
async fn containerds_own_api_answers_directly_and_is_closed_through_the_proxy() {
    const OWN: &str = "/containerd.services.version.v1.Version/Version";
    const IMAGES: &str = "/containerd.services.images.v1.Images/List";
    for binary in binaries() {
        let dir = tempfile::tempdir().unwrap();
        let containerd = Containerd::start(&binary, dir.path()).await;
        let proxy = Running::start(dir.path(), &containerd.socket, Gate::open());
        let mut direct = Client::connect(&containerd.socket).await;
        assert_eq!(direct.unary(OWN, b"").await.code(), code::OK);
        let mut through = Client::connect(&proxy.socket).await;
        for path in [OWN, IMAGES, "/runtime.v1alpha2.RuntimeService/Version"] {
            assert_eq!(through.unary(path, b"").await.code(), code::UNIMPLEMENTED);
        }
        assert_eq!(proxy.counts().upstream_connects, 0);
    }
}

#[tokio::test]
async fn a_killed_and_restarted_containerd_serves_the_next_call() {
    let dir = tempfile::tempdir().unwrap();
    let binary = Path::new("containerd");
    let mut first = Containerd::start(binary, dir.path()).await;
    let proxy = Running::start(dir.path(), &first.socket, Gate::open());
    let mut client = Client::connect(&proxy.socket).await;
    assert_eq!(client.unary(VERSION, b"").await.code(), code::OK);
    first.kill();
    let call = tokio::spawn({
        let mut client = client.clone();
        async move { client.unary(VERSION, b"").await.code() }
    });
    let _second = Containerd::start(binary, dir.path()).await;
    // It may have met the dying connection or waited for the new one; nothing else.
    assert!(matches!(call.await.unwrap(), code::OK | code::UNAVAILABLE));
    assert_eq!(client.unary(VERSION, b"").await.code(), code::OK);
}
