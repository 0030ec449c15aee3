use portcullis_policy::PolicySet;
use portcullis_policy::model::Mode;
use portcullis_trust::CompiledPolicy;

use super::*;

/// Accepts everything that does not contain `broken`.
pub(in crate::policy) struct Lenient;

impl Loader for Lenient {
    fn bootstrap(&self, file: &SourceFile) -> Result<Bootstrap, Vec<Diagnostic>> {
        check(std::slice::from_ref(file)).map(|()| Bootstrap::default())
    }

    fn policy(
        &self,
        files: &[SourceFile],
        bootstrap: Bootstrap,
    ) -> Result<(CompiledPolicy, Vec<Diagnostic>), Vec<Diagnostic>> {
        check(files)?;
        let policy = CompiledPolicy::compile(PolicySet::default(), bootstrap, Mode::Enforce)?;
        Ok((policy, Vec::new()))
    }
}

fn check(files: &[SourceFile]) -> Result<(), Vec<Diagnostic>> {
    match files.iter().find(|file| file.bytes.starts_with(b"broken")) {
        Some(file) => Err(vec![whole_file(
            &file.name,
            Severity::Error,
            "broken".to_owned(),
        )]),
        None => Ok(()),
    }
}

fn file(name: &str, bytes: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        bytes: bytes.as_bytes().to_vec(),
        mode: None,
    }
}

fn reading(files: &[SourceFile]) -> Reading {
    Reading {
        contents: Ok(Contents::Files(files.to_vec())),
        bootstrap: Ok(None),
    }
}

fn state(last_good: Option<Vec<SourceFile>>) -> State {
    State::new(Arc::new(Lenient), last_good, Timestamp(1))
        .unwrap_or_else(|_| panic!("must start"))
        .0
}

fn messages(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn a_broken_set_never_replaces_a_working_one() {
    let mut state = state(None);
    let good = [file("a.yaml", "good")];
    state.take(reading(&good), false, Timestamp(2));
    let before = state.active();
    assert!(before.refused.is_empty());
    state.take(
        reading(&[file("a.yaml", "good"), file("b.yaml", "broken")]),
        false,
        Timestamp(3),
    );
    let after = state.active();
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.hash, before.hash);
    assert_eq!(after.since, before.since);
    assert_eq!(messages(&after.refused), "b.yaml: error: broken");
    assert_eq!(state.sources(), good);
}

#[test]
fn a_mended_set_takes_force_and_the_refusal_goes() {
    let mut state = state(None);
    state.take(reading(&[file("a.yaml", "broken")]), false, Timestamp(2));
    assert!(!state.active().refused.is_empty());
    let before = state.active().generation;
    state.take(reading(&[file("a.yaml", "good")]), false, Timestamp(3));
    let after = state.active();
    assert!(after.refused.is_empty());
    assert_eq!(after.generation, before + 1);
    assert_eq!(after.since, Timestamp(3));
}

#[test]
fn an_empty_or_missing_directory_replaces_a_set_only_by_an_operators_step() {
    for nothing in [Contents::Missing, Contents::Files(Vec::new())] {
        let mut state = state(None);
        state.take(reading(&[file("a.yaml", "good")]), false, Timestamp(2));
        let before = state.active();
        let empty = Reading {
            contents: Ok(nothing),
            bootstrap: Ok(None),
        };
        state.take(empty.clone(), false, Timestamp(3));
        assert_eq!(state.active().hash, before.hash);
        assert!(messages(&state.active().refused).contains("policy reset"));
        state.take(empty, true, Timestamp(4));
        assert_ne!(state.active().hash, before.hash);
        assert!(state.active().refused.is_empty());
        assert!(messages(&state.active().warnings).contains("every image"));
        assert!(state.sources().is_empty());
    }
}

#[test]
fn after_a_restart_with_a_broken_directory_the_last_good_set_is_in_force() {
    let good = vec![file("a.yaml", "good"), file(BOOTSTRAP_NAME, "list")];
    let mut state = state(Some(good.clone()));
    state.take(
        Reading {
            contents: Ok(Contents::Files(vec![file("a.yaml", "broken")])),
            bootstrap: Err(whole_file(
                "bootstrap.yaml",
                Severity::Error,
                "torn".to_owned(),
            )),
        },
        false,
        Timestamp(2),
    );
    let active = state.active();
    assert_eq!(active.generation, 1);
    assert_eq!(active.hash, set_hash(&good[..1], Some(&good[1])));
    assert_eq!(state.sources(), good);
    assert_eq!(
        messages(&active.refused),
        "bootstrap.yaml: error: torna.yaml: error: broken"
    );
}

#[test]
fn a_last_good_set_that_no_longer_loads_is_reported_and_not_used() {
    let stored = Some(vec![file("a.yaml", "broken")]);
    let Ok((mut state, unusable)) = State::new(Arc::new(Lenient), stored, Timestamp(1)) else {
        panic!("must start");
    };
    assert_eq!(messages(&unusable), "a.yaml: error: broken");
    state.take(reading(&[]), false, Timestamp(2));
    assert!(messages(&state.active().warnings).contains("every image"));
}

#[test]
fn a_new_bootstrap_list_takes_force_beside_broken_documents() {
    let mut state = state(None);
    state.take(reading(&[file("a.yaml", "good")]), false, Timestamp(2));
    let before = state.active();
    let list = file("/etc/portcullis/bootstrap.yaml", "list");
    state.take(
        Reading {
            contents: Ok(Contents::Files(vec![file("a.yaml", "broken")])),
            bootstrap: Ok(Some(list.clone())),
        },
        false,
        Timestamp(3),
    );
    let after = state.active();
    assert_eq!(after.generation, before.generation + 1);
    assert_eq!(after.hash, set_hash(&[file("a.yaml", "good")], Some(&list)));
    assert!(!after.refused.is_empty());
}

#[test]
fn reading_the_same_set_again_is_not_a_new_generation() {
    let mut state = state(None);
    let same = reading(&[file("a.yaml", "good")]);
    state.take(same.clone(), false, Timestamp(2));
    let before = state.active();
    state.take(same, false, Timestamp(3));
    assert_eq!(state.active().generation, before.generation);
    assert_eq!(state.active().since, before.since);
}

#[test]
fn a_file_cut_to_nothing_does_not_replace_a_set_until_an_operator_says_so() {
    let loader = crate::policy::SetLoader {
        options: portcullis_policy::load::LoadOptions::default(),
        mode: Mode::Enforce,
    };
    let policy = "apiVersion: portcullis.dev/v1\nkind: ClusterImagePolicy\nmetadata: {name: a}\nspec:\n  \
                  repositories:\n  - {name: \"docker.io/*\", policy: {allow: {}}}\n";
    let (mut state, _) =
        State::new(Arc::new(loader), None, Timestamp(1)).unwrap_or_else(|_| panic!("must start"));
    state.take(reading(&[file("a.yaml", policy)]), false, Timestamp(2));
    assert_eq!(state.active().policy.set.rules.len(), 1);

    state.take(reading(&[file("a.yaml", "")]), false, Timestamp(3));
    assert_eq!(state.active().policy.set.rules.len(), 1);
    assert!(messages(&state.active().refused).contains("policy reset"));

    state.take(reading(&[file("a.yaml", "")]), true, Timestamp(4));
    assert!(state.active().policy.set.rules.is_empty());
}
