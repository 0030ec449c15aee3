//! What a log entry is about. An entry of another signature must not vouch for this one (CVE-2022-36056).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_types::{Bundle, HashAlgorithm, SignatureContent};
use sigstore_verify::rekor::body::{
    DsseV001Body, HashedRekordV001Body, HashedRekordV002Body, IntotoV002Body, RekorEntryBody,
};

use super::key::{Hash, Message, PublicKey};
use super::reason::Reason;

const OTHER: Reason = Reason::Log("is about another signature");
const UNSUPPORTED: Reason = Reason::Log("is of a kind that does not go with this signature");

/// Whether `body` records `signature` by `key` over `message`.
pub(super) fn binds(
    body: &RekorEntryBody,
    bundle: &Bundle,
    message: Message<'_>,
    signature: &[u8],
    key: &PublicKey,
) -> Result<(), Reason> {
    match (&bundle.content, body) {
        // Rekor v1 keeps statements as dsse or intoto entries; v2 knows hashedrekord only.
        (SignatureContent::MessageSignature(_), RekorEntryBody::HashedRekordV001(body)) => {
            hashed_v1(body, message, signature, key)
        }
        (_, RekorEntryBody::HashedRekordV002(body)) => hashed_v2(body, message, signature, key),
        (SignatureContent::DsseEnvelope(envelope), RekorEntryBody::DsseV001(body)) => {
            dsse(body, envelope.payload.as_bytes(), signature, key)
        }
        (SignatureContent::DsseEnvelope(envelope), RekorEntryBody::IntotoV002(body)) => {
            if body.spec.content.envelope.payload_type != envelope.payload_type {
                return Err(OTHER);
            }
            intoto(body, envelope.payload.as_bytes(), signature, key)
        }
        _ => Err(UNSUPPORTED),
    }
}

fn hash(algorithm: HashAlgorithm) -> Result<Hash, Reason> {
    match algorithm {
        HashAlgorithm::Sha2256 => Ok(Hash::Sha256),
        HashAlgorithm::Sha2384 => Ok(Hash::Sha384),
        HashAlgorithm::Sha2512 => Ok(Hash::Sha512),
        _ => Err(UNSUPPORTED),
    }
}

fn same(equal: bool) -> Result<(), Reason> {
    if equal { Ok(()) } else { Err(OTHER) }
}

/// The entry's verifier, a PEM key or the certificate of one, is `key`.
fn same_key(pem: &[u8], key: &PublicKey) -> Result<(), Reason> {
    same(PublicKey::from_pem(pem).is_ok_and(|logged| logged == *key))
}

fn hashed_v1(
    body: &HashedRekordV001Body,
    message: Message<'_>,
    signature: &[u8],
    key: &PublicKey,
) -> Result<(), Reason> {
    let logged = &body.spec.data.hash;
    let digest = hex::decode(logged.value.as_str()).map_err(|_| OTHER)?;
    same(message.digest(hash(logged.algorithm)?) == Some(digest))?;
    same(body.spec.signature.content.as_bytes() == signature)?;
    same_key(body.spec.signature.public_key.content.as_bytes(), key)
}

fn hashed_v2(
    body: &HashedRekordV002Body,
    message: Message<'_>,
    signature: &[u8],
    key: &PublicKey,
) -> Result<(), Reason> {
    let logged = &body.spec.hashed_rekord_v002;
    let digest = message.digest(hash(logged.data.algorithm)?);
    same(digest.as_deref() == Some(logged.data.digest.as_bytes()))?;
    same(logged.signature.content.as_bytes() == signature)?;
    let verifier = &logged.signature.verifier;
    let found = match (&verifier.public_key, &verifier.x509_certificate) {
        (Some(spki), None) => PublicKey::from_spki(spki.raw_bytes.as_bytes()),
        (None, Some(certificate)) => PublicKey::from_certificate(certificate.raw_bytes.as_bytes()),
        _ => return Err(OTHER),
    };
    same(found.is_ok_and(|logged| logged == *key))
}

/// The envelope's own hash is over JSON as it was submitted, which nobody can rebuild: payload, signature and key are
/// what it consists of.
fn dsse(
    body: &DsseV001Body,
    payload: &[u8],
    signature: &[u8],
    key: &PublicKey,
) -> Result<(), Reason> {
    let logged = &body.spec.payload_hash;
    let digest = hex::decode(&logged.value).map_err(|_| OTHER)?;
    same(Message::Bytes(payload).digest(hash(logged.algorithm)?) == Some(digest))?;
    let [one] = body.spec.signatures.as_slice() else {
        return Err(OTHER);
    };
    same(one.signature.as_bytes() == signature)?;
    same_key(one.verifier.as_bytes(), key)
}

fn intoto(
    body: &IntotoV002Body,
    payload: &[u8],
    signature: &[u8],
    key: &PublicKey,
) -> Result<(), Reason> {
    let content = &body.spec.content;
    let logged = &content.payload_hash;
    let digest = hex::decode(logged.value.as_str()).map_err(|_| OTHER)?;
    same(Message::Bytes(payload).digest(hash(logged.algorithm)?) == Some(digest))?;
    let [one] = content.envelope.signatures.as_slice() else {
        return Err(OTHER);
    };
    // Rekor encodes it twice in entries of this kind.
    let twice = STANDARD.decode(one.sig.as_bytes()).map_err(|_| OTHER)?;
    same(twice == signature)?;
    same_key(one.public_key.as_bytes(), key)
}
