use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::report::Report;

fn read(text: &str) -> (Vec<Node>, Vec<String>) {
    read_within(text, Limits::default())
}

fn read_within(text: &str, limits: Limits) -> (Vec<Node>, Vec<String>) {
    let mut report = Report::default();
    let documents = parse(&Arc::from("f.yaml"), text, limits, &mut report);
    let errors = report
        .into_sorted()
        .iter()
        .map(ToString::to_string)
        .collect();
    (documents, errors)
}

fn errors(text: &str) -> Vec<String> {
    read(text).1
}

fn scalar(text: &str) -> Scalar {
    let (documents, errors) = read(&format!("key: {text}\n"));
    assert_eq!(errors, Vec::<String>::new());
    match documents.first().map(|node| &node.value) {
        Some(Value::Map(entries)) => match entries.first().map(|entry| &entry.value.value) {
            Some(Value::Scalar(scalar)) => scalar.clone(),
            _ => panic!("no scalar in {text}"),
        },
        _ => panic!("no mapping in {text}"),
    }
}

#[test]
fn only_true_and_false_are_booleans() {
    assert_eq!(scalar("true").as_bool(), Some(true));
    assert_eq!(scalar("False").as_bool(), Some(false));
    for other in [
        "yes", "no", "on", "off", "y", "1", "0", "\"true\"", "'false'", "~",
    ] {
        assert_eq!(scalar(other).as_bool(), None, "{other}");
    }
}

#[test]
fn text_that_another_parser_reads_as_something_else_must_be_quoted() {
    for odd in [
        "no",
        "Yes",
        "ON",
        "true",
        "null",
        "~",
        "12",
        "-1",
        "1.20",
        "1e5",
        "0x1F",
        "0o17",
        "0b1",
        "1_000",
        ".inf",
        ".nan",
        "+.5",
        "12345678901234567890123456789012",
    ] {
        assert_eq!(scalar(odd).as_text(), None, "{odd}");
        let quoted = format!("'{odd}'");
        assert_eq!(scalar(&quoted).as_text(), Some(odd));
    }
    for text in [
        "nginx",
        "1.2.3",
        "1.25-alpine",
        "e5",
        "0xg",
        "nan",
        "inf",
        "1:2",
        "*.io",
        "n",
        "_",
    ] {
        let quoted = if text.starts_with('*') {
            format!("'{text}'")
        } else {
            text.to_owned()
        };
        assert_eq!(scalar(&quoted).as_text(), Some(text));
    }
}

#[test]
fn every_duplicate_key_is_reported_with_both_places() {
    let text = "a: 1\nb:\n- c: 1\n  c: 2\na: 3\n---\nd: 1\nd: 2\n";
    assert_eq!(
        errors(text),
        [
            "f.yaml:4:3 (b[0].c): error: given twice; the other is in line 3",
            "f.yaml:5:1 (a): error: given twice; the other is in line 1",
            "f.yaml:8:1 (d): error: given twice; the other is in line 7",
        ]
    );
}

#[test]
fn duplicate_keys_differing_only_in_quotes_or_escapes_are_found() {
    assert_eq!(errors("a: 1\n\"a\": 2\n").len(), 1);
    assert_eq!(errors("{\"a\": 1, \"\\u0061\": 2}").len(), 1);
}

#[test]
fn merge_keys_tags_and_odd_keys_are_refused() {
    for (text, part) in [
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "merge keys"),
        ("a: !!binary aGk=\n", "tags"),
        ("a: !secret x\n", "tags"),
        ("a: !!int 5\n", "tags"),
        ("? [a]\n: b\n", "a key has to be plain text"),
        ("&k a: b\n", "a key has to be plain text"),
        ("a: &k b\n*k : c\n", "a key has to be plain text"),
    ] {
        let found = errors(text);
        assert!(found.iter().any(|e| e.contains(part)), "{text}: {found:?}");
    }
    assert_eq!(errors("a: !!str 5\n"), Vec::<String>::new());
}

#[test]
fn an_alias_is_expanded_and_stands_where_it_is_used() {
    let (documents, errors) = read("a: &x [1, 2]\nb: *x\n");
    assert!(errors.is_empty());
    let Some(Value::Map(entries)) = documents.first().map(|node| &node.value) else {
        panic!("no mapping");
    };
    let alias = entries.last().expect("two entries");
    assert_eq!(alias.value.place, Place { line: 2, column: 4 });
    assert!(matches!(&alias.value.value, Value::List(items) if items.len() == 2));
}

#[test]
fn an_alias_bomb_ends_at_the_budget() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let previous = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.extend([format!("a{level}: &a{level} [{previous}]\n")]);
    }
    let (documents, errors) = read(&bomb);
    assert!(documents.is_empty());
    assert!(
        errors.iter().any(|e| e.contains("more than 500000 values")),
        "{errors:?}"
    );
}

#[test]
fn a_chain_of_aliases_cannot_nest_deeper_than_the_limit() {
    let mut chain = String::from("a0: &a0 [x]\n");
    for level in 1..60 {
        chain.extend([format!("a{level}: &a{level} [*a{}]\n", level - 1)]);
    }
    assert!(errors(&chain).iter().any(|e| e.contains("nested deeper")));
    assert!(errors("a: &a [*a]\n").iter().any(|e| e.contains("error")));
}

#[test]
fn nesting_and_document_count_are_bounded() {
    let nested = format!("{}{}", "[".repeat(60), "]".repeat(60));
    assert!(errors(&nested).iter().any(|e| e.contains("nested deeper")));
    assert!(errors(&"[".repeat(100_000)).len() == 1);
    let limits = Limits {
        documents: 3,
        ..Limits::default()
    };
    assert!(
        read_within("a: 1\n---\nb: 1\n---\nc: 1\n", limits)
            .1
            .is_empty()
    );
    assert!(
        read_within("---\n---\n---\n---\n", limits)
            .1
            .iter()
            .any(|e| e.contains("more documents than the 3 allowed"))
    );
}

#[test]
fn documents_before_a_syntax_error_are_still_read() {
    let (documents, errors) = read("a: 1\n---\nb: [1\n---\nc: 1\n");
    assert_eq!(documents.len(), 1);
    assert_eq!(errors.len(), 1);
    assert!(
        errors.iter().all(|e| e.starts_with("f.yaml:")),
        "{errors:?}"
    );
}

#[test]
fn json_is_read_with_places_too() {
    let (documents, errors) = read("{\n\t\"a\": {\"b\": [true, \"\\/\\ud83d\\ude00\", null]}\n}\n");
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(documents.len(), 1);
}

#[test]
fn paths_quote_what_is_not_a_word() {
    assert_eq!(
        child_path("metadata.labels", "app.kubernetes.io/name"),
        "metadata.labels[\"app.kubernetes.io/name\"]"
    );
    assert_eq!(child_path("", "spec"), "spec");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-c:\\-\\[\\]{}&*!<|>'\"#\\n ,?%\\t]{0,60}") {
        let _ = read(&text);
    }
}
