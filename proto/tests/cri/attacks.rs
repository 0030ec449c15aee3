//! What a hostile encoder tries so that the gate judges image A and containerd takes image B. containerd 1.6.20
//! takes B, or ignores what is wrong, in most of these. The attacks on frames stand in `frame.rs`.

use portcullis_proto::cri::{
    CreateContainerRequest, ImageStatusRequest, PullImageRequest, RunPodSandboxRequest, path,
    value_of,
};
use portcullis_proto::wire::{
    Defect, Field, MAX_DEPTH, MAX_ELEMENTS, Schema, WireError, replace, validate,
};

const A: &[u8] = b"registry.example.com/signed@sha256:aaaa";
const B: &[u8] = b"registry.example.com/evil:latest";

/// Wire types.
const VARINT: u64 = 0;
const DELIMITED: u64 = 2;

fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value, &mut bytes);
    bytes
}

/// The same value with one byte more than it needs.
fn loose_varint(value: u64) -> Vec<u8> {
    let mut bytes = varint(value);
    *bytes.last_mut().unwrap() |= 0x80;
    bytes.push(0);
    bytes
}

fn tag(number: u64, wire_type: u64) -> Vec<u8> {
    varint(number << 3 | wire_type)
}

fn field(number: u64, value: &[u8]) -> Vec<u8> {
    [&tag(number, DELIMITED), &varint(value.len() as u64), value].concat()
}

fn number(number: u64, value: u64) -> Vec<u8> {
    [tag(number, VARINT), varint(value)].concat()
}

/// A pull with this `ImageSpec`.
fn pull(spec: &[u8]) -> Vec<u8> {
    field(1, spec)
}

/// A create with this `ImageSpec`.
fn create(spec: &[u8]) -> Vec<u8> {
    [field(1, b"sandbox"), field(2, &field(2, spec))].concat()
}

fn defect_of<T: std::fmt::Debug>(result: Result<T, WireError>) -> (String, Defect) {
    let error = result.unwrap_err();
    (error.at, error.defect)
}

/// Refused by the reader with this defect, and the splice refuses the same bytes by itself.
#[track_caller]
fn pull_refused(message: &[u8], at: &str, defect: Defect) {
    assert_eq!(
        defect_of(PullImageRequest::read(message)),
        (at.to_owned(), defect)
    );
    assert_eq!(
        replace(message, path::PULL_IMAGE, B).unwrap_err().defect,
        defect
    );
}

#[track_caller]
fn create_refused(message: &[u8], at: &str, defect: Defect) {
    assert_eq!(
        defect_of(CreateContainerRequest::read(message)),
        (at.to_owned(), defect)
    );
    assert_eq!(
        replace(message, path::CREATE_IMAGE, B).unwrap_err().defect,
        defect
    );
}

#[test]
fn honest_requests_pass() {
    let request = PullImageRequest::read(&pull(&field(1, A))).unwrap();
    assert_eq!(request.image.unwrap().image.as_bytes(), A);
    let request = CreateContainerRequest::read(&create(&field(1, A))).unwrap();
    assert_eq!(request.config.unwrap().image.unwrap().image.as_bytes(), A);
    assert_eq!(
        PullImageRequest::read(b"").unwrap(),
        PullImageRequest::default()
    );
}

#[test]
fn repeated_outer_field() {
    let twice = [pull(&field(1, A)), pull(&field(1, B))].concat();
    pull_refused(&twice, "PullImageRequest.image", Defect::Repeated);
    let twice = [create(&field(1, A)), field(2, &field(2, &field(1, B)))].concat();
    create_refused(&twice, "CreateContainerRequest.config", Defect::Repeated);
}

#[test]
fn repeated_outer_field_that_is_empty() {
    for message in [
        [pull(&field(1, A)), pull(b"")],
        [pull(b""), pull(&field(1, A))],
    ] {
        pull_refused(
            &message.concat(),
            "PullImageRequest.image",
            Defect::Repeated,
        );
    }
}

#[test]
fn repeated_inner_field() {
    let twice = [field(1, A), field(1, B)].concat();
    pull_refused(
        &pull(&twice),
        "PullImageRequest.image.image",
        Defect::Repeated,
    );
    create_refused(
        &create(&twice),
        "CreateContainerRequest.config.image.image",
        Defect::Repeated,
    );
    let middle = field(
        2,
        &[field(2, &field(1, A)), field(2, &field(1, B))].concat(),
    );
    create_refused(
        &middle,
        "CreateContainerRequest.config.image",
        Defect::Repeated,
    );
}

#[test]
fn override_appended_behind_everything_else() {
    let rest = [
        field(2, &field(1, b"user")),
        field(3, &field(2, b"hostname")),
        field(400, b"unknown"),
    ]
    .concat();
    let message = [pull(&field(1, A)), rest, pull(&field(1, B))].concat();
    pull_refused(&message, "PullImageRequest.image", Defect::Repeated);
}

#[test]
fn wrapped_field_number_outer() {
    let wrapped = 1 << 32 | 1;
    let value = field(1, B);
    let message = [
        pull(&field(1, A)),
        tag(wrapped, DELIMITED),
        varint(value.len() as u64),
        value,
    ]
    .concat();
    pull_refused(&message, "PullImageRequest", Defect::FieldNumber(wrapped));
}

#[test]
fn wrapped_field_number_inner() {
    let wrapped = 1 << 32 | 1;
    let spec = [
        field(1, A),
        tag(wrapped, DELIMITED),
        varint(B.len() as u64),
        B.to_vec(),
    ]
    .concat();
    pull_refused(
        &pull(&spec),
        "PullImageRequest.image",
        Defect::FieldNumber(wrapped),
    );
    create_refused(
        &create(&spec),
        "CreateContainerRequest.config.image",
        Defect::FieldNumber(wrapped),
    );
}

#[test]
fn field_number_just_above_the_largest() {
    let message = [pull(&field(1, A)), number(1 << 29, 0)].concat();
    pull_refused(&message, "PullImageRequest", Defect::FieldNumber(1 << 29));
}

#[test]
fn field_number_zero() {
    pull_refused(
        &[pull(&field(1, A)), field(0, B)].concat(),
        "PullImageRequest",
        Defect::FieldNumber(0),
    );
    pull_refused(
        &pull(&[number(0, 0), field(1, A)].concat()),
        "PullImageRequest.image",
        Defect::FieldNumber(0),
    );
}

#[test]
fn non_minimal_tag() {
    let loose = [
        loose_varint(1 << 3 | DELIMITED),
        varint(B.len() as u64),
        B.to_vec(),
    ]
    .concat();
    pull_refused(
        &pull(&loose),
        "PullImageRequest.image",
        Defect::VarintNotMinimal,
    );
    pull_refused(
        &pull(&[field(1, A), loose.clone()].concat()),
        "PullImageRequest.image",
        Defect::VarintNotMinimal,
    );
    create_refused(
        &create(&loose),
        "CreateContainerRequest.config.image",
        Defect::VarintNotMinimal,
    );
}

#[test]
fn non_minimal_tag_of_an_unknown_field() {
    let loose = [loose_varint(400 << 3 | VARINT), vec![0]].concat();
    pull_refused(
        &[pull(&field(1, A)), loose].concat(),
        "PullImageRequest",
        Defect::VarintNotMinimal,
    );
}

#[test]
fn non_minimal_length() {
    let loose = [tag(1, DELIMITED), loose_varint(B.len() as u64), B.to_vec()].concat();
    pull_refused(
        &pull(&loose),
        "PullImageRequest.image",
        Defect::VarintNotMinimal,
    );
    let spec = field(1, B);
    let loose = [tag(1, DELIMITED), loose_varint(spec.len() as u64), spec].concat();
    pull_refused(&loose, "PullImageRequest", Defect::VarintNotMinimal);
}

#[test]
fn group() {
    let group = |inner: &[u8]| [&tag(1, 3), inner, &tag(1, 4)].concat();
    pull_refused(
        &[pull(&field(1, A)), group(&field(1, B))].concat(),
        "PullImageRequest",
        Defect::Group(1),
    );
    pull_refused(
        &pull(&[group(b""), field(1, A)].concat()),
        "PullImageRequest.image",
        Defect::Group(1),
    );
    let unknown = [
        pull(&field(1, A)),
        tag(400, 3),
        pull(&field(1, B)),
        tag(400, 4),
    ]
    .concat();
    pull_refused(&unknown, "PullImageRequest", Defect::Group(400));
    let lone_end = [tag(400, 4), pull(&field(1, A))].concat();
    pull_refused(&lone_end, "PullImageRequest", Defect::Group(400));
}

#[test]
fn wrong_wire_type() {
    let fixed64 = [tag(1, 1), vec![0; 8]].concat();
    let fixed32 = [tag(1, 5), vec![0; 4]].concat();
    for wrong in [number(1, 7), fixed64, fixed32] {
        pull_refused(&wrong, "PullImageRequest.image", Defect::WrongWireType);
        pull_refused(
            &pull(&wrong),
            "PullImageRequest.image.image",
            Defect::WrongWireType,
        );
        create_refused(
            &create(&wrong),
            "CreateContainerRequest.config.image.image",
            Defect::WrongWireType,
        );
    }
}

#[test]
fn number_as_bytes() {
    let attempt = field(3, &field(1, &field(4, &[1])));
    let at = "PullImageRequest.sandbox_config.metadata.attempt";
    assert_eq!(
        defect_of(PullImageRequest::read(&attempt)),
        (at.into(), Defect::WrongWireType)
    );
}

#[test]
fn reserved_wire_type() {
    for wire_type in [6, 7] {
        let message = [pull(&field(1, A)), tag(400, wire_type)].concat();
        let defect = Defect::ReservedWireType(400, u8::try_from(wire_type).unwrap());
        pull_refused(&message, "PullImageRequest", defect);
    }
}

#[test]
fn truncated() {
    let message = [
        pull(&field(1, A)),
        number(400, 300),
        field(2, &field(1, b"user")),
    ]
    .concat();
    let ends = [
        pull(&field(1, A)).len(),
        pull(&field(1, A)).len() + number(400, 300).len(),
    ];
    for end in (1..message.len()).filter(|end| !ends.contains(end)) {
        let (_, defect) = defect_of(PullImageRequest::read(&message[..end]));
        assert_eq!(defect, Defect::Truncated, "to {end}");
    }
}

#[test]
fn inner_length_reaches_out_of_the_outer_message() {
    let message = [
        tag(1, DELIMITED),
        varint(2),
        tag(1, DELIMITED),
        varint(4),
        b"evil".to_vec(),
    ]
    .concat();
    pull_refused(&message, "PullImageRequest.image", Defect::Truncated);
}

#[test]
fn length_of_64_bits() {
    let message = [tag(1, DELIMITED), varint(u64::MAX), A.to_vec()].concat();
    pull_refused(&message, "PullImageRequest", Defect::Truncated);
}

#[test]
fn text_that_is_not_utf8() {
    for bytes in [
        &b"\xff"[..],
        b"a\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"cut \xe2\x82",
    ] {
        let message = pull(&field(1, bytes));
        let at = "PullImageRequest.image.image";
        assert_eq!(
            defect_of(PullImageRequest::read(&message)),
            (at.into(), Defect::NotUtf8)
        );
    }
}

#[test]
fn second_namespace() {
    let sandbox = |namespace: &[u8]| field(1, &field(3, namespace));
    let metadata = [sandbox(b"shop"), sandbox(b"kube-system")].concat();
    let (at, defect) = defect_of(RunPodSandboxRequest::read(&field(1, &metadata)));
    assert_eq!(
        (at.as_str(), defect),
        ("RunPodSandboxRequest.config.metadata", Defect::Repeated)
    );
    let namespace = field(1, &[field(3, b"shop"), field(3, b"kube-system")].concat());
    let (at, defect) = defect_of(PullImageRequest::read(&field(3, &namespace)));
    assert_eq!(
        (at.as_str(), defect),
        (
            "PullImageRequest.sandbox_config.metadata.namespace",
            Defect::Repeated
        )
    );
}

#[test]
fn second_image_in_an_image_volume() {
    let mount = [field(9, &field(1, A)), field(9, &field(1, B))].concat();
    let message = field(2, &[field(2, &field(1, A)), field(7, &mount)].concat());
    let (at, defect) = defect_of(CreateContainerRequest::read(&message));
    assert_eq!(
        (at.as_str(), defect),
        (
            "CreateContainerRequest.config.mounts.image",
            Defect::Repeated
        )
    );
}

#[test]
fn map_key_given_twice() {
    let entry = |value: &[u8]| field(2, &[field(1, b"key"), field(2, value)].concat());
    let spec = [
        entry(b"first"),
        entry(b"last"),
        field(2, &field(1, b"other")),
    ]
    .concat();
    let annotations = PullImageRequest::read(&pull(&spec))
        .unwrap()
        .image
        .unwrap()
        .annotations;
    assert_eq!(
        value_of(&annotations, "key").unwrap_err().defect,
        Defect::Repeated
    );
    assert_eq!(value_of(&annotations, "other").unwrap(), Some(""));
    assert_eq!(value_of(&annotations, "third").unwrap(), None);
}

#[test]
fn map_entry_with_two_keys() {
    let spec = field(
        2,
        &[field(1, b"key"), field(1, b"other"), field(2, b"value")].concat(),
    );
    pull_refused_at_annotations(&spec, "PullImageRequest.image.annotations.key");
    let spec = field(
        2,
        &[field(1, b"key"), field(2, b"value"), field(2, b"other")].concat(),
    );
    pull_refused_at_annotations(&spec, "PullImageRequest.image.annotations.value");
}

#[track_caller]
fn pull_refused_at_annotations(spec: &[u8], at: &str) {
    assert_eq!(
        defect_of(PullImageRequest::read(&pull(spec))),
        (at.to_owned(), Defect::Repeated)
    );
}

#[test]
fn number_that_decoders_cut() {
    let attempt = |value: &[u8]| field(3, &field(1, &[tag(4, VARINT), value.to_vec()].concat()));
    let at = "PullImageRequest.sandbox_config.metadata.attempt";
    assert!(PullImageRequest::read(&attempt(&varint(u32::MAX.into()))).is_ok());
    let cut = PullImageRequest::read(&attempt(&varint(1 << 32)));
    assert_eq!(defect_of(cut), (at.into(), Defect::OutOfRange));
    let loose = PullImageRequest::read(&attempt(&loose_varint(1)));
    assert_eq!(defect_of(loose), (at.into(), Defect::VarintNotMinimal));
    let neither = ImageStatusRequest::read(&number(2, 2));
    assert_eq!(
        defect_of(neither),
        ("ImageStatusRequest.verbose".into(), Defect::OutOfRange)
    );
}

static ENDLESS: Schema = Schema::new("Endless", &[Field::message(1, "inner", &ENDLESS)]);

#[test]
fn deep_nesting() {
    let nested = |depth: usize| (1..depth).fold(Vec::new(), |inner, _| field(1, &inner));
    assert_eq!(validate(&ENDLESS, &nested(MAX_DEPTH)), Ok(()));
    assert_eq!(
        validate(&ENDLESS, &nested(MAX_DEPTH + 1))
            .unwrap_err()
            .defect,
        Defect::TooDeep
    );
    assert_eq!(
        validate(&ENDLESS, &nested(1000)).unwrap_err().defect,
        Defect::TooDeep
    );
}

#[test]
fn millions_of_empty_elements() {
    let mount = field(7, b"");
    let most = field(2, &mount.repeat(MAX_ELEMENTS));
    assert!(CreateContainerRequest::read(&most).is_ok());
    let more = field(2, &mount.repeat(MAX_ELEMENTS + 1));
    let at = "CreateContainerRequest.config.mounts";
    assert_eq!(
        defect_of(CreateContainerRequest::read(&more)),
        (at.into(), Defect::TooMany)
    );
}

#[test]
fn millions_of_empty_elements_spread_over_many_messages() {
    let mount = field(7, &field(9, &field(2, b"").repeat(1023)));
    let most = field(2, &mount.repeat(MAX_ELEMENTS / 1024));
    assert!(CreateContainerRequest::read(&most).is_ok());
    let (_, defect) = defect_of(CreateContainerRequest::read(
        &[most, field(3, &field(6, b""))].concat(),
    ));
    assert_eq!(defect, Defect::TooMany);
}

#[test]
fn siblings_are_not_nesting() {
    let siblings = field(
        2,
        &field(7, &field(9, &field(2, b""))).repeat(MAX_DEPTH + 1),
    );
    assert!(CreateContainerRequest::read(&siblings).is_ok());
}

#[test]
fn environment_that_is_not_utf8_passes() {
    // `KeyValue.value` is bytes since cri-api 0.34.
    let env = field(6, &[field(1, b"KEY"), field(2, b"\xff\xfe")].concat());
    let message = field(2, &[field(2, &field(1, A)), env.clone(), env].concat());
    assert!(CreateContainerRequest::read(&message).is_ok());
}

#[test]
fn refusal_quotes_nothing_of_the_request() {
    let twice = [field(1, A), field(1, B)].concat();
    let error = PullImageRequest::read(&pull(&twice)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "portcullis: malformed request: PullImageRequest.image.image: given more than once"
    );
    assert_eq!(error.code(), portcullis_proto::code::INVALID_ARGUMENT);
}
