//! docs/signatures.md: the commands in it are run as they stand there, by the real tools, and the policy beside them accepts
//! what they signed and refuses what they did not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use portcullis_tests::daemon::run;
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::liar::{Liar, Reply, Tls, json, status};
use portcullis_tests::notary::Notary;
use portcullis_tests::registry::Registry;
use portcullis_tests::scratch::Scratch;
use portcullis_tests::shim::binary;
use portcullis_tests::signers;
use portcullis_tests::skip;
use portcullis_tests::world::World;

const DOCS: &str = include_str!("../../docs/signatures.md");
const NAMES: [&str; 3] = [
    "registry.example.com",
    "signatures.example.com",
    "notary.example.com",
];
/// The root key that the policies of the document pin: an example, for which the one that signed is put.
const PIN: &str = "2f3c2c8f3c0d6f4c5b3e8ad6c1ab7b6d2f3c2c8f3c0d6f4c5b3e8ad6c1ab7b6d";
const REPOSITORY: &str = "shop/app";
const SIGNED: &str = "registry.example.com/shop/app:1";
const UNSIGNED: &str = "registry.example.com/shop/app:2";

/// Commands, and the policy that stands beside them.
#[derive(Debug, Default)]
struct Case {
    title: String,
    commands: String,
    policy: String,
}

/// What stands under each heading that has commands and a policy; and the commands for all of them. A block `sh instead` is
/// another way to do what the last line of the case before does.
fn cases() -> (String, Vec<Case>) {
    let (mut first, mut cases) = (String::new(), Vec::new());
    let mut case = Case::default();
    let mut lines = DOCS.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            case = Case {
                title: line.to_owned(),
                ..Case::default()
            };
        }
        let Some(fence) = line.strip_prefix("```").filter(|fence| !fence.is_empty()) else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = format!("{}\n", body.join("\n"));
        match fence {
            "sh first" => first = body,
            "sh" => case.commands.push_str(&body),
            "sh instead" => {
                if let Some(Case {
                    commands, policy, ..
                }) = cases.last()
                {
                    let (before, _) = commands.trim_end().rsplit_once('\n').unwrap_or_default();
                    cases.push(Case {
                        title: case.title.clone(),
                        commands: format!("{before}\n{body}"),
                        policy: policy.clone(),
                    });
                }
            }
            "yaml" if !case.commands.is_empty() => {
                cases.push(Case {
                    title: case.title.clone(),
                    commands: std::mem::take(&mut case.commands),
                    policy: body,
                });
            }
            _ => {}
        }
    }
    (first, cases)
}

/// Somebody's machine, on which [`NAMES`] are there, and nothing else in the world.
struct Desk {
    scratch: Scratch,
    world: World,
    home: PathBuf,
    _servers: (Registry, Notary, [Liar; 3]),
}

impl Desk {
    async fn open() -> Result<Self> {
        let scratch = Scratch::new()?;
        let home = scratch.dir("home")?;
        let mut world = World::make(&scratch.dir("world")?, &NAMES)?;
        let registry = Registry::start(&scratch.dir("registry")?)?;
        for tag in ["1", "2"] {
            let image: Image = Recipe::new(tag).build()?;
            registry.push(REPOSITORY, tag, &image).await?;
        }
        let front = Liar::start(registry.port(), Some(&world.tls()))?;
        let store = Liar::start(0, Some(&world.tls()))?;
        let files = home.join("signatures");
        store.says(move |asked| {
            let file = asked.path.replace("%40", "@").replace("%3D", "=");
            Reply::Lie(match fs::read(files.join(file.trim_start_matches('/'))) {
                Ok(bytes) => json(bytes),
                Err(_) => status(404),
            })
        });
        let notary = Notary::start(&scratch.dir("notary")?)?;
        let trust = Tls {
            ca: Some(notary.ca()),
            ..world.tls()
        };
        let fronts = [front, store, Liar::start(notary.port(), Some(&trust))?];
        let names = NAMES.into_iter().map(str::to_owned);
        world.lead(names.zip(fronts.iter().map(Liar::port)).collect())?;
        Ok(Self {
            scratch,
            world,
            home,
            _servers: (registry, notary, fronts),
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.world.show(&mut command);
        let tools = signers::Cosign::find().unwrap_or_default();
        let tools = tools.parent().map(Path::display);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env(
            "PATH",
            tools.map_or(path.clone(), |tools| format!("{tools}:{path}")),
        );
        command.env("HOME", &self.home).current_dir(&self.home);
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GNUPGHOME"] {
            command.env_remove(name);
        }
        // Whoever signs is asked for it.
        command.env("COSIGN_PASSWORD", "");
        for role in ["ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"] {
            command.env(format!("NOTARY_{role}_PASSPHRASE"), "passphrase");
        }
        command
    }

    /// Runs a script as a person would type it, and stops at the first command that fails.
    fn shell(&self, script: &str) -> Result<String> {
        run(self.command(Path::new("/bin/sh")).args(["-euc", script]))
    }

    /// `portcullis` with this arguments, and a policy directory in the home.
    fn portcullis(&self, arguments: &[&str]) -> Result<Output> {
        let config = self.scratch.path().join("config.yaml");
        fs::write(
            &config,
            format!(
                "policyDir: {policy}\nstateDir: {here}/state\nlisten: {here}/cri.sock\nadminSocket: {here}/admin.sock\n\
                 upstream: {here}/none.sock\nregistry: {{certsDir: {here}/certs.d, containerdConfig: {here}/none.toml}}\n",
                policy = self.home.join("policy.d").display(),
                here = self.scratch.path().display(),
            ),
        )?;
        let mut command = self.command(&binary()?);
        command.args(arguments).arg("--config").arg(config);
        Ok(command.output()?)
    }

    fn check(&self, image: &str) -> Result<Output> {
        self.portcullis(&["check", "--local", "-n", "shop", image])
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The agent that gpg started is this home's alone.
        let mut command = self.command(Path::new("gpgconf"));
        let _ = command.args(["--kill", "gpg-agent"]).output();
    }
}

fn said(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn try_out(first: &str, case: &Case) -> Result<()> {
    let desk = Desk::open().await?;
    let script = format!("{first}{}", case.commands);
    let printed = desk.shell(&script)?;
    let printed = printed.lines().last().unwrap_or_default();
    let policy = if printed.len() == PIN.len() {
        case.policy.replace(PIN, printed)
    } else {
        case.policy.clone()
    };
    fs::create_dir_all(desk.home.join("policy.d"))?;
    fs::write(desk.home.join("policy.d/apps.yaml"), policy)?;

    let signed = desk.check(SIGNED)?;
    println!("{}\n{}", case.title, said(&signed));
    ensure!(signed.status.code() == Some(0), "{}", said(&signed));
    let unsigned = desk.check(UNSIGNED)?;
    println!("{}", said(&unsigned));
    ensure!(unsigned.status.code() == Some(1), "{}", said(&unsigned));
    Ok(())
}

/// A screenful, without what differs from one run to the next: digests, ids of keys, times.
fn still(screen: &str) -> String {
    let words = screen.split_inclusive([' ', '\n', '(', ')']).map(|word| {
        let bare = word.trim_end_matches([' ', '\n', '(', ')']);
        let end = word.strip_prefix(bare).unwrap_or_default();
        let hex = bare.strip_prefix("sha256:").unwrap_or(bare);
        let hex = hex.len() >= 16 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let time = bare.starts_with("20") && bare.contains('T') && bare.ends_with('Z');
        if hex || time {
            format!("#{end}")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

/// What documents show behind a prompt with this command.
fn screens(command: &str) -> Vec<String> {
    [DOCS, include_str!("../../docs/cli.md")]
        .iter()
        .flat_map(|document| document.split("```text\n$ portcullis ").skip(1))
        .filter_map(|rest| rest.split("\n```").next())
        .filter_map(|shown| shown.strip_prefix(command)?.strip_prefix('\n'))
        .map(|shown| still(shown.trim_end()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_documents_show_is_what_is_printed() -> Result<()> {
    let test = "signing::what_the_documents_show_is_what_is_printed";
    if skip::signer(test, signers::Cosign::find()).is_none() {
        return Ok(());
    }
    let (first, cases) = cases();
    let case = cases.first().context("no case")?;
    let desk = Desk::open().await?;
    desk.shell(&format!("{first}{}", case.commands))?;
    fs::write(desk.home.join("policy.d/apps.yaml"), &case.policy)?;
    fs::write(
        desk.home.join("cases.yaml"),
        format!(
            "evidence: [\"evidence/*.json\"]\ncases:\n- {{name: what we sign runs, namespace: shop, image: {SIGNED}, expect: allow}}\n\
             - {{name: nothing else runs, namespace: shop, image: {UNSIGNED}, expect: allow}}\n"
        ),
    )?;
    for (command, shown) in [
        (format!("check -n shop {SIGNED}"), 2),
        (format!("check -n shop {UNSIGNED}"), 1),
        ("policy lint policy.d".to_owned(), 1),
        (
            format!("check -n shop --record evidence {SIGNED} {UNSIGNED}"),
            0,
        ),
        ("policy test cases.yaml --policy policy.d".to_owned(), 1),
    ] {
        let typed = command.replace("check", "check --local");
        let output = desk.portcullis(&typed.split(' ').collect::<Vec<_>>())?;
        let printed = String::from_utf8(output.stdout.clone())?;
        println!("$ portcullis {command}\n{printed}");
        let screens = screens(&command);
        ensure!(screens.len() == shown, "{command}: {screens:#?}");
        for screen in screens {
            ensure!(
                screen == still(printed.trim_end()),
                "{screen}\n{}",
                said(&output)
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_sign_what_the_policy_beside_them_accepts() -> Result<()> {
    let test = "signing::the_commands_sign_what_the_policy_beside_them_accepts";
    for tool in [signers::Cosign::find(), signers::Notation::find()] {
        if skip::signer(test, tool).is_none() {
            return Ok(());
        }
    }
    let (first, cases) = cases();
    ensure!(cases.len() >= 9, "found {cases:#?}");
    for case in cases {
        try_out(&first, &case)
            .await
            .with_context(|| format!("under `{}`:\n{}", case.title, case.commands))?;
    }
    Ok(())
}
