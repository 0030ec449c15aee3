//! What is decoded is validated: schemas, structs and the published definition name the same fields.

use std::collections::BTreeSet;

use portcullis_proto::cri::schema;
use portcullis_proto::wire::{Field, Kind, Schema};
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::published::{PublishedField, api_proto, fields};
use crate::samples;

fn requests() -> Vec<(&'static Schema, Vec<u8>)> {
    vec![
        (
            &schema::PULL_IMAGE_REQUEST,
            samples::pull_image().encode_to_vec(),
        ),
        (
            &schema::CREATE_CONTAINER_REQUEST,
            samples::create_container().encode_to_vec(),
        ),
        (
            &schema::START_CONTAINER_REQUEST,
            samples::start_container().encode_to_vec(),
        ),
        (
            &schema::RUN_POD_SANDBOX_REQUEST,
            samples::run_pod_sandbox().encode_to_vec(),
        ),
        (
            &schema::REMOVE_POD_SANDBOX_REQUEST,
            samples::remove_pod_sandbox().encode_to_vec(),
        ),
        (
            &schema::REMOVE_IMAGE_REQUEST,
            samples::remove_image().encode_to_vec(),
        ),
        (
            &schema::IMAGE_STATUS_REQUEST,
            samples::image_status().encode_to_vec(),
        ),
    ]
}

/// The fields in an encoding with every field set are those of the schema, at every level.
fn same_fields(schema: &Schema, mut message: &[u8]) {
    let mut encoded = BTreeSet::new();
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message).expect("a tag");
        encoded.insert(number);
        let kind = schema
            .fields()
            .iter()
            .find(|field| field.number == number)
            .map(|field| field.kind);
        match (kind, wire_type) {
            (Some(Kind::Message(inner)), WireType::LengthDelimited) => {
                let length = usize::try_from(decode_varint(&mut message).expect("a length"))
                    .expect("it is small");
                same_fields(inner, &message[..length]);
                message.advance(length);
            }
            _ => skip_field(wire_type, number, &mut message, DecodeContext::default())
                .expect("a field"),
        }
    }
    let known: BTreeSet<_> = schema.fields().iter().map(|field| field.number).collect();
    assert_eq!(encoded, known, "{}", schema.name());
}

#[test]
fn every_field_that_is_decoded_is_validated() {
    for (schema, sample) in requests() {
        same_fields(schema, &sample);
    }
}

/// Fields that came after the release `k8s-cri` is made from.
const NEWER: &[(&str, &str)] = &[("ImageSpec", "image_ref"), ("Mount", "image_sub_path")];

fn as_published(field: &Field) -> PublishedField {
    let (kind, repeated) = match field.kind {
        Kind::String => ("string", field.repeated),
        Kind::Bytes => ("bytes", field.repeated),
        Kind::Bool => ("bool", field.repeated),
        Kind::Uint32 => ("uint32", field.repeated),
        Kind::Message(schema) if schema.name() == "Entry" && field.repeated => {
            ("map<string,string>", false)
        }
        Kind::Message(schema) => (schema.name(), field.repeated),
    };
    PublishedField {
        number: field.number,
        name: field.name.to_owned(),
        kind: kind.to_owned(),
        repeated,
    }
}

fn is_published(proto: &str, schema: &Schema) {
    let published = fields(proto, schema.name());
    for field in schema.fields() {
        if !NEWER.contains(&(schema.name(), field.name)) {
            let ours = as_published(field);
            assert!(
                published.contains(&ours),
                "{}: {ours:?} is not in {published:#?}",
                schema.name()
            );
        }
        match field.kind {
            Kind::Message(inner) if inner.name() != "Entry" => is_published(proto, inner),
            _ => {}
        }
    }
}

#[test]
fn every_schema_has_the_published_names_numbers_and_types() {
    let proto = api_proto();
    for (schema, _) in requests() {
        is_published(&proto, schema);
    }
}
