//! Keys, certificates and messages that gpg would not make.

use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, Notation, PacketTrait, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey,
    Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{
    Duration, Ed25519PublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password,
    PlainSecretParams, PublicParams, SecretParams, SigningKey, Tag, Timestamp,
};

use super::time;

/// When forged keys are made.
pub(crate) const MADE: &str = "2026-01-01T12:00:00Z";
/// When forged messages are signed.
pub(crate) const SIGNED: &str = "2026-02-01T12:00:00Z";

pub(crate) fn seconds(at: &str) -> u32 {
    u32::try_from(time(at).0).unwrap()
}

fn regular(data: SubpacketData) -> Subpacket {
    Subpacket::regular(data).unwrap()
}

pub(crate) fn made(at: &str) -> Subpacket {
    regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
        seconds(at),
    )))
}

pub(crate) fn ends_after(days: u32) -> Subpacket {
    regular(SubpacketData::SignatureExpirationTime(Duration::from_secs(
        days * 86_400,
    )))
}

pub(crate) fn key_ends_after(days: u32) -> Subpacket {
    regular(SubpacketData::KeyExpirationTime(Duration::from_secs(
        days * 86_400,
    )))
}

pub(crate) fn flags(signs: bool) -> Subpacket {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(signs);
    regular(SubpacketData::KeyFlags(flags))
}

pub(crate) fn primary_user() -> Subpacket {
    regular(SubpacketData::IsPrimary(true))
}

/// A notation that nobody knows. (`pgp` does not sign what is critical and unknown by its number.)
pub(crate) fn unknown(critical: bool) -> Subpacket {
    let data = SubpacketData::Notation(Notation {
        readable: true,
        name: "x@example.test".into(),
        value: "1".into(),
    });
    if critical {
        Subpacket::critical(data).unwrap()
    } else {
        regular(data)
    }
}

pub(crate) fn issuer(key: &impl KeyDetails) -> Subpacket {
    regular(SubpacketData::IssuerFingerprint(key.fingerprint()))
}

pub(crate) fn issuer_id(key: &impl KeyDetails) -> Subpacket {
    regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))
}

pub(crate) fn packet(packet: &impl PacketTrait) -> Vec<u8> {
    let mut out = Vec::new();
    packet.to_writer_with_header(&mut out).unwrap();
    out
}

/// A primary key and a subkey, Ed25519 of RFC 9580.
pub(crate) struct Forge {
    pub(crate) primary: SecretKey,
    pub(crate) sub: SecretSubkey,
}

fn inner(version: KeyVersion, secret: &Ed25519, at: &str) -> PubKeyInner {
    let params = PublicParams::Ed25519(Ed25519PublicParams::from(secret));
    let at = Timestamp::from_secs(seconds(at));
    PubKeyInner::new(version, PublicKeyAlgorithm::Ed25519, at, None, params).unwrap()
}

impl Forge {
    /// Keys made from `seed`.
    pub(crate) fn new(version: KeyVersion, seed: u8) -> Self {
        Self::made_at(version, seed, MADE)
    }

    pub(crate) fn made_at(version: KeyVersion, seed: u8, at: &str) -> Self {
        let secret = |seed: u8| Ed25519::try_from_bytes([seed; 32], Mode::Ed25519).unwrap();
        let plain = |secret: Ed25519| SecretParams::Plain(PlainSecretParams::Ed25519(secret));
        let (first, second) = (secret(seed), secret(seed + 100));
        let primary = PublicKey::from_inner(inner(version, &first, at)).unwrap();
        let sub = PublicSubkey::from_inner(inner(version, &second, at)).unwrap();
        Self {
            primary: SecretKey::new(primary, plain(first)).unwrap(),
            sub: SecretSubkey::new(sub, plain(second)).unwrap(),
        }
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        packet(self.primary.public_key())
    }

    pub(crate) fn subkey(&self) -> Vec<u8> {
        packet(self.sub.public_key())
    }

    /// A direct-key signature, or a revocation, about `of` by this key.
    pub(crate) fn about(&self, of: &Self, typ: SignatureType, with: Vec<Subpacket>) -> Vec<u8> {
        let signature = config(&self.primary, typ, with)
            .sign_key(&self.primary, &Password::empty(), of.primary.public_key())
            .unwrap();
        packet(&signature)
    }

    pub(crate) fn direct(&self, with: Vec<Subpacket>) -> Vec<u8> {
        self.about(self, SignatureType::Key, with)
    }

    /// A signature about a user id of this key.
    pub(crate) fn certified(
        &self,
        name: &str,
        typ: SignatureType,
        with: Vec<Subpacket>,
    ) -> Vec<u8> {
        let user = user(name);
        let signature = config(&self.primary, typ, with)
            .sign_certification(
                &self.primary,
                self.primary.public_key(),
                &Password::empty(),
                Tag::UserId,
                &user,
            )
            .unwrap();
        packet(&signature)
    }

    /// A user id with its certification.
    pub(crate) fn user(&self, name: &str, with: Vec<Subpacket>) -> Vec<u8> {
        let certified = self.certified(name, SignatureType::CertPositive, with);
        [packet(&user(name)), certified].concat()
    }

    /// This primary key binds `of`'s subkey.
    pub(crate) fn bind(&self, of: &Self, typ: SignatureType, with: Vec<Subpacket>) -> Vec<u8> {
        let signature = config(&self.primary, typ, with)
            .sign_subkey_binding(
                &self.primary,
                self.primary.public_key(),
                &Password::empty(),
                of.sub.public_key(),
            )
            .unwrap();
        packet(&signature)
    }

    /// This subkey confirms that `of` is its primary key.
    pub(crate) fn confirm(&self, of: &Self, with: Vec<Subpacket>) -> Subpacket {
        let signature: Signature = config(&self.sub, SignatureType::KeyBinding, with)
            .sign_primary_key_binding(
                &self.sub,
                self.sub.public_key(),
                &Password::empty(),
                of.primary.public_key(),
            )
            .unwrap();
        regular(SubpacketData::EmbeddedSignature(Box::new(signature)))
    }

    /// The usual certificate: `Forged`, and a signing subkey.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let confirmed = self.confirm(self, vec![made(MADE), issuer(&self.sub)]);
        let binding = vec![made(MADE), issuer(&self.primary), flags(true), confirmed];
        [
            self.primary_alone(vec![made(MADE), issuer(&self.primary), flags(true)]),
            self.subkey(),
            self.bind(self, SignatureType::SubkeyBinding, binding),
        ]
        .concat()
    }

    /// The primary key with one self-signature: on the key for version 6, on a user id for version 4.
    pub(crate) fn primary_alone(&self, with: Vec<Subpacket>) -> Vec<u8> {
        let own = match self.primary.version() {
            KeyVersion::V6 => self.direct(with),
            _ => self.user("Forged", with),
        };
        [self.key(), own].concat()
    }

    /// A message by the primary key.
    pub(crate) fn message(&self, with: Vec<Subpacket>) -> Vec<u8> {
        message(&self.primary, SignatureType::Binary, with)
    }

    /// One with time and issuer.
    pub(crate) fn good_message(&self) -> Vec<u8> {
        self.message(vec![made(SIGNED), issuer(&self.primary)])
    }

    /// One by the subkey.
    pub(crate) fn sub_message(&self) -> Vec<u8> {
        message(
            &self.sub,
            SignatureType::Binary,
            vec![made(SIGNED), issuer(&self.sub)],
        )
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::from_str(PacketHeaderVersion::New, name).unwrap()
}

/// The statement of the fixtures, signed in the old order: signature, literal data.
pub(crate) fn message(key: &impl SigningKey, typ: SignatureType, with: Vec<Subpacket>) -> Vec<u8> {
    let content = payload();
    let signature = config(key, typ, with)
        .sign(key, &Password::empty(), content.as_bytes())
        .unwrap();
    let mut out = packet(&signature);
    let body = [b"b\0\0\0\0\0", content.as_bytes()].concat();
    out.extend([0xcb, 0xff]);
    out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend(body);
    out
}

fn payload() -> String {
    let digest = super::openpgp::digest();
    let image = super::openpgp::IMAGE;
    serde_json::json!({
        "critical": {
            "identity": {"docker-reference": image},
            "image": {"docker-manifest-digest": digest},
            "type": "atomic container signature",
        },
        "optional": {},
    })
    .to_string()
}

fn config(key: &impl KeyDetails, typ: SignatureType, with: Vec<Subpacket>) -> SignatureConfig {
    let (algorithm, hash) = (key.algorithm(), HashAlgorithm::Sha256);
    let mut config = match key.version() {
        KeyVersion::V6 => SignatureConfig::v6_with_salt(typ, algorithm, hash, vec![7; 16]),
        _ => SignatureConfig::v4(typ, algorithm, hash),
    };
    config.hashed_subpackets = with;
    config
}
