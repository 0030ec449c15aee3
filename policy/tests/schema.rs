//! docs/schema/portcullis.dev_v1.json: it takes every documented policy, and what the loader refuses for a misspelt field it
//! refuses too.

use jsonschema::Validator;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/schema/portcullis.dev_v1.json");
const DOCUMENTS: [&str; 3] = [
    include_str!("../../docs/policy.md"),
    include_str!("../../docs/presets.md"),
    include_str!("../../docs/signatures.md"),
];

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The documents of every example, our own and others.
fn examples() -> Vec<Value> {
    DOCUMENTS
        .iter()
        .flat_map(|document| document.split("```yaml\n").skip(1))
        .filter_map(|rest| rest.split("\n```").next())
        .flat_map(|text| serde_yaml::from_multiple::<Value>(text).unwrap())
        .collect()
}

fn ours(example: &Value) -> bool {
    example["apiVersion"] == "portcullis.dev/v1"
}

/// Every place at which an object in `value` has keys, as JSON pointers.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                objects(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Whether the keys of an object are its author's to choose.
fn is_free(at: &str) -> bool {
    let free = [
        "/pins",
        "/match",
        "/userMetadata",
        "/cosign/annotations",
        "/metadata/annotations",
    ];
    free.iter().any(|end| at.ends_with(end)) || at.rsplit('/').nth(1) == Some("trustStores")
}

#[test]
fn every_documented_policy_is_valid() {
    let validator = validator();
    let examples = examples();
    assert!(examples.iter().filter(|one| ours(one)).count() > 30);
    for example in examples {
        if let Err(error) = validator.validate(&example) {
            panic!("{error} at {}\n{example:#}", error.instance_path());
        }
    }
}

#[test]
fn one_letter_too_many_in_any_field_is_not() {
    let validator = validator();
    let mut tried = 0;
    for example in examples().iter().filter(|one| ours(one)) {
        let mut places = Vec::new();
        objects(example, "", &mut places);
        for place in places {
            if is_free(&place) {
                continue;
            }
            let keys: Vec<String> = example
                .pointer(&place)
                .and_then(Value::as_object)
                .map(|fields| fields.keys().cloned().collect())
                .unwrap_or_default();
            for key in keys {
                let mut misspelt = example.clone();
                let fields = misspelt
                    .pointer_mut(&place)
                    .unwrap()
                    .as_object_mut()
                    .unwrap();
                let value = fields.remove(&key).unwrap();
                fields.insert(format!("{key}x"), value);
                assert!(
                    !validator.is_valid(&misspelt),
                    "{place}: `{key}x` was taken in\n{misspelt:#}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} fields were tried");
}

#[test]
fn what_a_policy_must_not_say_is_not_valid() {
    let validator = validator();
    let rule = |policy: &str| -> Value {
        let text = format!(
            "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: a}}\nspec: {{repositories: [{{name: x, policy: {policy}}}]}}\n"
        );
        serde_yaml::from_str(&text).unwrap()
    };
    assert!(validator.is_valid(&rule("{allow: {}}")));
    for policy in [
        "{}",
        "null",
        "{allow: {}, deny: {}}",
        "{allow: {all: true}}",
        "{allOf: []}",
        "{cosign: {}}",
        "{cosign: {keys: []}}",
        "{cosign: {keys: [{file: a, pem: b}]}}",
        "{cosign: {keys: [{file: a}], threshold: 0}}",
        "{cosign: {keys: [{file: a}], transparencyLog: no}}",
        "{cosign: {identities: [{identity: a}]}}",
        "{cosign: {identities: [{identity: {glob: a, regex: b}, issuer: c}]}}",
        "{attestations: {keys: [{file: a}]}}",
        "{attestations: {predicateType: vuln, keys: [{file: a}], maxAge: 30}}",
        "{attestations: {predicateType: vuln, keys: [{file: a}], maxAge: \"\"}}",
        "{attestations: {predicateType: vuln, keys: [{file: a}], vulnerabilities: {}}}",
        "{notation: {trustStores: {tsa: {a: [{file: b}]}}, trustedIdentities: [\"*\"]}}",
        "{notation: {trustStores: {ca: {a: [{file: b}]}}, trustedIdentities: [\"*\"], level: skip}}",
        "{notation: {trustStores: {ca: {a: [{file: b}]}}, trustedIdentities: [\"*\"], override: {expiry: skip}}}",
        "{simple: {keys: [{file: a}], signedIdentity: {type: remapIdentity}}}",
        "{trust: {trustServer: \"http://notary.example.com\"}}",
        "{trust: {enabled: false}}",
        "{annotations: {}}",
    ] {
        assert!(!validator.is_valid(&rule(policy)), "{policy}");
    }
}
