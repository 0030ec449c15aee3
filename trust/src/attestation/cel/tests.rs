use portcullis_policy::Digest;
use serde_json::{Value, json};

use super::{CelError, Expression};
use crate::attestation::flaw::Flaw;
use crate::attestation::statement::Statement;

fn statement(predicate: &Value) -> Statement {
    let digest = Digest::of(b"image");
    let document = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.hex()}}],
        "predicateType": "https://example.com/p",
        "predicate": predicate,
    });
    Statement::read(
        document.to_string().as_bytes(),
        &digest,
        "https://example.com/p",
    )
    .unwrap()
}

fn holds(expression: &str, predicate: &Value) -> Result<(), Flaw> {
    let compiled = Expression::compile(expression);
    compiled
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
        .holds(&statement(predicate))
}

fn refused(expression: &str) -> CelError {
    Expression::compile(expression)
        .map(|_| ())
        .expect_err(expression)
}

fn predicate() -> Value {
    json!({
        "builder": {"id": "https://builder.example.com/v1"},
        "count": 3, "score": 7.5, "big": u64::MAX, "on": true, "nothing": null,
        "materials": [{"uri": "git+https://a.example/x", "depth": 1}, {"uri": "pkg:docker/debian", "depth": 2}],
    })
}

#[test]
fn what_policies_ask_of_statements_can_be_asked() {
    for expression in [
        "predicate.builder.id == 'https://builder.example.com/v1'",
        "statement.predicateType.startsWith('https://example.com/')",
        "size(statement.subject) == 1 && statement.subject[0].digest.sha256.size() == 64",
        "predicate.count >= 3 && predicate.score < 8.0 && predicate.count == 3",
        "predicate.big > 5u",
        "has(predicate.builder) && !has(predicate.missing)",
        "predicate.nothing == null",
        "predicate.materials.exists(m, m.uri.contains('a.example'))",
        "predicate.materials.all(m, m.depth in [1, 2])",
        "predicate.materials.exists_one(m, m.depth == 2)",
        "predicate.materials.filter(m, m.depth > 1).all(m, m.uri.matches('^pkg:docker/[a-z]+$'))",
        "predicate.materials.map(m, m.uri).exists(u, u == 'pkg:docker/debian')",
        "'pkg:docker/debian' in predicate.materials.map(m, m.uri)",
        "predicate.on ? true : false",
        "predicate['builder']['id'].endsWith('v1')",
        "true",
    ] {
        assert_eq!(holds(expression, &predicate()), Ok(()), "{expression}");
    }
}

#[test]
fn anything_but_true_is_a_refusal() {
    for (expression, flaw) in [
        ("false", Flaw::CelFalse),
        ("predicate.count == 4", Flaw::CelFalse),
        ("predicate.on == 'true'", Flaw::CelFalse),
        ("1", Flaw::CelNotBool),
        ("'true'", Flaw::CelNotBool),
        ("predicate.nothing", Flaw::CelNotBool),
        ("predicate", Flaw::CelNotBool),
        ("predicate.missing", Flaw::CelNoField),
        ("predicate.missing == 1 || false", Flaw::CelNoField),
        ("!predicate.missing", Flaw::CelNoField),
        ("predicate.materials[9].depth == 1", Flaw::CelFailed),
        (
            "predicate.materials.all(m, m.missing == 1)",
            Flaw::CelNoField,
        ),
        ("predicate.count.all(m, true)", Flaw::CelFailed),
        ("predicate.count < 'x'", Flaw::CelFailed),
        ("int(predicate.builder.id) == 1", Flaw::CelFailed),
        ("size(predicate.count) == 1", Flaw::CelFailed),
    ] {
        assert_eq!(holds(expression, &predicate()), Err(flaw), "{expression}");
    }
}

#[test]
fn what_builds_values_or_nests_loops_is_refused_when_the_policy_is_loaded() {
    use CelError::{Builds, CopyingMap, Function, ManyLoops, NestedLoop, Pattern, Variable};

    let loops = ["predicate.x.all(m, true)"; 9].join(" && ");
    for (expression, error) in [
        ("predicate.x + predicate.x == 'a'", Builds("+")),
        (
            "[predicate, predicate] == []",
            Builds("[…] of anything but literals"),
        ),
        ("{'a': predicate} == predicate", Builds("{…}")),
        ("predicate.x.map(m, m + m) == []", Builds("+")),
        (
            "predicate.x.map(m, [m, m]) == []",
            Builds("[…] of anything but literals"),
        ),
        ("predicate.x.map(m, predicate) == []", CopyingMap),
        ("predicate.x.map(m, true, statement) == []", CopyingMap),
        ("predicate.x.all(a, predicate.x.all(b, true))", NestedLoop),
        ("predicate.x.exists(a, a.filter(b, true) == [])", NestedLoop),
        ("predicate.x.map(a, a.map(b, b)) == []", NestedLoop),
        ("predicate.x.exists_one(a, a.exists_one(b, b))", NestedLoop),
        (&loops, ManyLoops),
        ("predicate.x.all(a, a.matches(a))", Pattern),
        ("'a'.matches(predicate.x)", Pattern),
        ("other == 1", Variable("other".to_owned())),
        ("predicate.x.all(a, b)", Variable("b".to_owned())),
        ("type(predicate) == map", Function("type".to_owned())),
        ("optional.of(1) == 1", Function("of".to_owned())),
        ("bytes('a') == b'a'", Function("bytes".to_owned())),
        ("predicate.run()", Function("run".to_owned())),
        ("1 - 1 == 0", Builds("-")),
        ("1 / 0 == 0", Builds("/")),
    ] {
        assert_eq!(refused(expression), error, "{expression}");
    }
}

#[test]
fn a_hostile_expression_ends_with_a_diagnostic() {
    let deep = |open: &str, close: &str, times: usize| {
        format!("{}1{}", open.repeat(times), close.repeat(times))
    };
    for expression in [
        String::new(),
        " ".to_owned(),
        "(".to_owned(),
        "predicate.".to_owned(),
        "'".to_owned(),
        "\"\"\"".to_owned(),
        "\u{0}".to_owned(),
        "predicate == 99999999999999999999999".to_owned(),
        "'\\u{110000}' == ''".to_owned(),
        "'\\ud800' == ''".to_owned(),
        "predicate.all(1, true)".to_owned(),
        "has(1)".to_owned(),
        "has(predicate)".to_owned(),
        "predicate.x.all()".to_owned(),
        "predicate.x.all(a)".to_owned(),
        "predicate ? 1".to_owned(),
        "predicate[?'a']".to_owned(),
        "`predicate`".to_owned(),
        "predicate.`a`".to_owned(),
        "a".repeat(2049),
        deep("(", ")", 65),
        deep("(", ")", 1000),
        deep("[", "]", 1000),
        deep("{1:", "}", 500),
        format!("predicate{}", ".a".repeat(1000)),
        format!("predicate{}", "[0]".repeat(600)),
        format!("predicate{}", ".f()".repeat(60)),
        "!".repeat(2000),
        format!("{}true", "true ? true : ".repeat(140)),
        format!("1{}", " == 1".repeat(400)),
        format!("'{}'.matches('{}')", "a", "(a{1000}){1000}"),
    ] {
        assert!(
            Expression::compile(&expression).is_err(),
            "{}",
            expression.chars().take(60).collect::<String>()
        );
    }
}

/// Valid or not, each comes back with an answer.
#[test]
fn an_odd_expression_neither_panics_nor_overflows() {
    for expression in [
        format!("{}1 == 1", "-".repeat(2000)),
        format!("{}true", "!".repeat(2000)),
        format!("true{}", " && true".repeat(250)),
        "b'\\xff' == b''".to_owned(),
        "-9223372036854775808 == 0".to_owned(),
        "-predicate == 0".to_owned(),
        "-(-9223372036854775808) == 0".to_owned(),
        "predicate[-1] == 0".to_owned(),
        "predicate.x[9223372036854775807] == 0".to_owned(),
        "int(1e300) == 0 || uint(-1) == 0u".to_owned(),
        "double('nan') == double('inf')".to_owned(),
        "'\u{1f600}'.contains('\u{1f600}')".to_owned(),
        "size('\u{1f600}') == 1".to_owned(),
        "true in predicate".to_owned(),
        "predicate in predicate".to_owned(),
        "predicate.x.all(predicate, predicate == 1)".to_owned(),
        "predicate < predicate".to_owned(),
        "1u < -1 || 1.5 in [1, 2u, 'a', null, b'']".to_owned(),
        ".predicate == 1".to_owned(),
        "predicate.x.all(x, x.all == 1)".to_owned(),
    ] {
        if let Ok(expression) = Expression::compile(&expression) {
            let _ = expression.holds(&statement(&json!({"x": [1, "a", null, {}, []]})));
        }
    }
}

#[test]
fn the_deepest_expression_that_is_accepted_runs_on_a_small_stack() {
    let mut depth = 0;
    for fields in 1..60 {
        let expression = format!("predicate{} == 1 || true", ".a".repeat(fields));
        let Ok(expression) = Expression::compile(&expression) else {
            break;
        };
        depth = fields;
        let mut predicate = json!(1);
        for _ in 0..fields.min(50) {
            predicate = json!({"a": predicate});
        }
        let run = std::thread::Builder::new()
            .stack_size(512 << 10)
            .spawn(move || expression.holds(&statement(&predicate)));
        assert_eq!(run.unwrap().join().unwrap(), Ok(()));
    }
    assert!(depth > 20, "{depth}");
    // Brackets and conditions instead of fields.
    let nested = (0..36).fold("true".to_owned(), |inner, _| format!("!({inner})"));
    if let Ok(expression) = Expression::compile(&nested) {
        let run = std::thread::Builder::new()
            .stack_size(512 << 10)
            .spawn(move || expression.holds(&statement(&json!({}))));
        assert_eq!(run.unwrap().join().unwrap(), Ok(()));
    }
}

#[test]
fn a_large_statement_is_refused_where_it_would_take_long_and_judged_where_not() {
    let items: Vec<Value> = (0..20_000)
        .map(|n| json!({"name": format!("package-{n}"), "n": n}))
        .collect();
    let large = json!({"packages": items});
    assert_eq!(holds("predicate.packages.all(p, p.n >= 0)", &large), Ok(()));
    assert_eq!(
        holds("predicate.packages.all(p, p in predicate.packages)", &large),
        Err(Flaw::CelTooLarge)
    );
    assert_eq!(
        holds(
            "predicate.packages.all(p, p.name.matches('^package-[0-9]+$'))",
            &large
        ),
        Err(Flaw::CelTooLarge)
    );
    assert_eq!(
        holds(
            "predicate.text == 'a'",
            &json!({"text": "x".repeat(5 << 20)})
        ),
        Err(Flaw::CelTooLarge)
    );
}

/// The worst that is accepted, for whoever changes the budget: it must not hang.
#[test]
fn what_is_accepted_ends() {
    let small: Vec<Value> = (0..400)
        .map(|n| json!({"n": n, "t": "x".repeat(64)}))
        .collect();
    let statement_of = json!({"x": small});
    for step in [
        "m in predicate.x",
        "m.t.matches('^[a-z]{1,64}$')",
        "predicate.x == predicate.x && predicate == predicate",
        "size(m.t) == 64 && m.t.contains('xx') && m.t < 'y'",
    ] {
        let loops = [format!("predicate.x.all(m, {step})").as_str(); 4].join(" && ");
        let _ = Expression::compile(&loops)
            .unwrap()
            .holds(&statement(&statement_of));
    }
}
