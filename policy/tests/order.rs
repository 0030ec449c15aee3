//! Properties of the loader: the order of files and documents never decides anything, and no text makes it panic.

mod common;

use common::*;
use portcullis_policy::load::{LoadOptions, SourceFile, lint, load};
use portcullis_policy::model::PolicySet;
use proptest::prelude::*;

const DOCS: &str = include_str!("../../docs/policy.md");

fn load_set(files: &[SourceFile]) -> Option<PolicySet> {
    load(files, &LoadOptions::default())
        .ok()
        .map(|loaded| loaded.set)
}

const PATTERNS: [&str; 9] = [
    "*", "*/a", "a.b/*", "a.b/a", "a.b/a:b", "a.b/a:*", "a.b/*a", "a", "a.b/a*",
];

/// One document: its kind of policy, and (pattern, requirement) pairs. Rules of one pattern mostly agree, as sets that
/// contradict themselves are refused.
fn document() -> impl Strategy<Value = (u8, Vec<(&'static str, u8)>)> {
    let rule = (0..PATTERNS.len(), 0..12_u8).prop_map(|(at, odd)| {
        let usual = u8::try_from(at % 2).unwrap_or_default();
        (
            PATTERNS.get(at).copied().unwrap_or("*"),
            if odd == 0 { 2 } else { usual },
        )
    });
    (0..4_u8, proptest::collection::vec(rule, 0..4))
}

fn render(index: usize, (kind, rules): &(u8, Vec<(&'static str, u8)>)) -> String {
    let portieris = kind % 2 == 0;
    let rules: Vec<String> = rules
        .iter()
        .map(|(name, requirement)| {
            let policy = match (portieris, requirement) {
                (true, 0) => "{}",
                (true, _) => "{simple: {requirements: [{type: reject}]}}",
                (false, 0) => "{allow: {}}",
                (false, 1) => "{deny: {}}",
                (false, _) => "{cosign: {}}",
            };
            format!("{{name: '{name}', policy: {policy}}}")
        })
        .collect();
    let group = if portieris {
        "portieris.cloud.ibm.com/v1"
    } else {
        "portcullis.dev/v1"
    };
    let (kind, metadata) = if *kind < 2 {
        (
            "ImagePolicy",
            format!("{{name: p{index}, namespace: shop}}"),
        )
    } else {
        ("ClusterImagePolicy", format!("{{name: p{index}}}"))
    };
    policy(group, kind, &metadata, &format!("[{}]", rules.join(", ")))
}

fn decided(set: &PolicySet, namespace: Option<&str>, image: &str) -> Vec<String> {
    let mut found: Vec<String> = governing(set, namespace, image)
        .iter()
        .map(|rule| {
            format!(
                "{} {:?}",
                rule.pattern.canonical(),
                std::mem::discriminant(&rule.requirement)
            )
        })
        .collect();
    found.sort();
    found
}

proptest! {
    #[test]
    fn the_order_of_files_and_documents_never_changes_the_selection(
        documents in proptest::collection::vec(document(), 1..5), turn in 0..5_usize, split in 0..5_usize,
        image in "(a[.]b/)?(a|ab|aa)(:[ab])?",
    ) {
        let texts: Vec<String> = documents.iter().enumerate().map(|(index, document)| render(index, document)).collect();
        let first = load_set(&[file("all.yaml", &texts.join("---\n"))]);

        let mut turned = texts.clone();
        turned.rotate_left(turn % texts.len());
        let (left, right) = turned.split_at(split.min(turned.len()));
        let (left, right) = (file("z.yaml", &left.join("---\n")), file("a.yaml", &right.join("---\n")));
        let second = load_set(&[left.clone(), right.clone()]);
        let third = load_set(&[right, left]);

        prop_assert_eq!(&second, &third, "the order in which files are handed over");
        prop_assert_eq!(first.is_some(), second.is_some(), "whether the set is refused");
        if let (Some(first), Some(second)) = (&first, &second) {
            for namespace in [Some("shop"), Some("other"), None] {
                prop_assert_eq!(decided(first, namespace, &image), decided(second, namespace, &image));
            }
        }
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "(apiVersion: portcullis.dev/v1\nkind: ImagePolicy\n)?[a-z:\\-\\[\\]{}&*!<|>'\" \n]{0,80}") {
        let _ = load(&[file("p.yaml", &text)], &LoadOptions::default());
    }

    #[test]
    fn no_damage_to_an_example_makes_the_loader_panic(
        which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), length in 0..40_usize,
        put in "[a-z:\\-\\[\\]{}&*!<|>'\" \n]{0,6}|null|'x'|\\[\\]|\\{\\}|12|-----BEGIN |[.]/|\u{fffd}",
    ) {
        let examples: Vec<&str> = DOCS.split("```").filter_map(|block| block.strip_prefix("yaml\n")).collect();
        let example: Vec<char> = which.get(&examples).chars().collect();
        let at = cut.index(example.len());
        let behind = example.iter().skip(at.saturating_add(length));
        let damaged: String = example.iter().take(at).copied().chain(put.chars()).chain(behind.copied()).collect();
        let files = [file("p.yaml", &damaged), file("keys/release.pub", "K"), file("keys/acme-root.pem", "C")];
        let _ = load(&files, &LoadOptions::default());
        let _ = lint(&files, &LoadOptions::default());
    }
}
