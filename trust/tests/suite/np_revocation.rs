//! Revocation: answers of openssl's authority and responder, and what must not pass for one.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{RevocationAnswer, RevocationWant};
use portcullis_trust::notation::revocation::{
    RevocationStatus, acceptable, status, supersedes, wants,
};

const INTER_CRL: &str = "http://crl.example.com/inter.crl";
const ROOT_CRL: &str = "http://crl.example.com/root.crl";
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/revocation");
    std::fs::read(path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn seconds(name: &str) -> i64 {
    String::from_utf8(file(name))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// A chain of the fixtures, and answers about it.
struct Case {
    chain: Vec<Vec<u8>>,
    answers: Vec<Arc<RevocationAnswer>>,
    /// A minute after the fixtures were made.
    gathered_at: Timestamp,
}

impl Case {
    /// `leaf` by inter by root, and the root's CRL, on which inter is not.
    fn of(leaf: &str) -> Self {
        let mut case = Self::bare(&[leaf, "inter", "root"]);
        case.crl_at(ROOT_CRL, "root");
        case
    }

    fn bare(chain: &[&str]) -> Self {
        Self {
            chain: chain
                .iter()
                .map(|name| file(&format!("{name}.crt")))
                .collect(),
            answers: Vec::new(),
            gathered_at: Timestamp(seconds("made-at") + MINUTE),
        }
    }

    fn chain(&self) -> Vec<&[u8]> {
        self.chain.iter().map(Vec::as_slice).collect()
    }

    fn answer(&mut self, want: RevocationWant, bytes: Vec<u8>) {
        self.answers.push(Arc::new(RevocationAnswer {
            want,
            bytes,
            gathered_at: self.gathered_at,
        }));
    }

    fn crl_at(&mut self, url: &str, name: &str) {
        let want = RevocationWant::Crl {
            url: url.to_owned(),
        };
        self.answer(want, file(&format!("crl/{name}.crl")));
    }

    fn crl(mut self, name: &str) -> Self {
        self.crl_at(INTER_CRL, name);
        self
    }

    fn ocsp_want(&self) -> RevocationWant {
        wants(&self.chain())
            .into_iter()
            .find(|want| matches!(want, RevocationWant::Ocsp { .. }))
            .expect("the leaf names a responder")
    }

    fn ocsp(mut self, name: &str) -> Self {
        self.answer(self.ocsp_want(), file(&format!("ocsp/{name}.der")));
        self
    }

    fn after(mut self, seconds: i64) -> Self {
        self.gathered_at.0 += seconds;
        self
    }

    fn status(&self) -> RevocationStatus {
        status(&self.chain(), &self.answers, None)
    }

    fn last_is_acceptable(&self) -> bool {
        acceptable(self.answers.last().unwrap(), &self.chain())
    }

    #[track_caller]
    fn good(&self) {
        assert_eq!(self.status(), RevocationStatus::Good);
        assert!(self.last_is_acceptable());
    }

    #[track_caller]
    fn revoked(&self) {
        let RevocationStatus::Revoked { at } = self.status() else {
            panic!("{:?}", self.status());
        };
        assert!((at.0 - seconds("made-at")).abs() <= MINUTE, "{at}");
        assert!(self.last_is_acceptable());
    }

    /// It says nothing, for this reason, and is not stored.
    #[track_caller]
    fn unusable(&self, because: &str) {
        self.unknown(because);
        assert!(!self.last_is_acceptable());
    }

    #[track_caller]
    fn unknown(&self, because: &str) {
        match self.status() {
            RevocationStatus::Unknown { cause } if cause.contains(because) => {}
            other => panic!("{other:?} and not {because}"),
        }
    }
}

#[test]
fn the_question_is_the_one_openssl_asks() {
    let case = Case::of("good");
    assert_eq!(
        wants(&case.chain()),
        [
            RevocationWant::Ocsp {
                url: "http://ocsp.example.com/".to_owned(),
                request: file("request.der"),
            },
            RevocationWant::Crl {
                url: INTER_CRL.to_owned()
            },
            RevocationWant::Crl {
                url: ROOT_CRL.to_owned()
            },
        ]
    );
}

#[test]
fn a_root_is_not_asked_about() {
    assert!(wants(&[&file("root.crt")]).is_empty());
    assert_eq!(Case::bare(&["root"]).status(), RevocationStatus::Good);
}

#[test]
fn only_http_is_followed_but_a_source_that_is_not_is_no_absence() {
    let case = Case::of("ldap");
    assert_eq!(
        wants(&case.chain()),
        [RevocationWant::Crl {
            url: ROOT_CRL.to_owned()
        }]
    );
    case.unknown("has not answered");
}

#[test]
fn a_responder_that_is_not_followed_is_no_absence() {
    let case = Case::of("ldap_responder");
    let want = RevocationWant::Crl {
        url: ROOT_CRL.to_owned(),
    };
    assert_eq!(wants(&case.chain()), [want]);
    case.unknown("has not answered");
}

#[test]
fn the_algorithm_beside_a_signature_is_the_one_that_is_signed() {
    // sha256WithRSAEncryption to sha384WithRSAEncryption, where it stands last.
    let other = |mut bytes: Vec<u8>| {
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
        let at = bytes.windows(9).rposition(|window| window == oid).unwrap();
        bytes[at + 8] = 0x0c;
        bytes
    };
    let mut case = Case::of("good").ocsp("good");
    case.chain[0] = other(case.chain[0].clone());
    case.unknown("chain cannot be read");
    let mut case = Case::of("good");
    let want = RevocationWant::Crl {
        url: INTER_CRL.to_owned(),
    };
    case.answer(want, other(file("crl/inter.crl")));
    case.unusable("its CRL cannot be read");
}

#[test]
fn a_certificate_without_sources_cannot_be_taken_back() {
    Case::of("no_source").good();
}

#[test]
fn nothing_answered_is_unknown() {
    Case::of("good").unknown("has not answered");
    Case::bare(&["no_source", "inter", "root"]).unknown("has not answered");
}

#[test]
fn a_good_answer_by_either_way_is_good() {
    Case::of("good").ocsp("good").good();
    Case::of("good").crl("inter").good();
    Case::of("ocsp_only").ocsp("ocsp_only").good();
    Case::of("crl_only").crl("inter").good();
}

#[test]
fn a_revoked_certificate_is_revoked_by_either_way() {
    for leaf in ["compromised", "ceased", "held", "invalid"] {
        Case::of(leaf).ocsp(leaf).revoked();
        Case::of(leaf).crl("inter").revoked();
    }
}

#[test]
fn one_revocation_outweighs_what_else_is_said() {
    let case = Case::of("compromised").ocsp("compromised").crl("before");
    assert!(matches!(case.status(), RevocationStatus::Revoked { .. }));
    let case = Case::of("compromised").crl("before").crl("inter");
    assert!(matches!(case.status(), RevocationStatus::Revoked { .. }));
}

#[test]
fn an_intermediate_is_asked_about_too() {
    let mut case = Case::bare(&["good", "inter", "root"]).ocsp("good");
    case.unknown("has not answered");
    case.crl_at(ROOT_CRL, "root");
    case.good();
}

#[test]
fn a_responder_that_does_not_know_the_certificate_says_nothing() {
    Case::of("stranger")
        .ocsp("stranger")
        .unusable("does not know");
    // The list is asked then, as notation does.
    Case::of("stranger").ocsp("stranger").crl("inter").good();
}

#[test]
fn freshness_is_judged_when_the_answer_came() {
    Case::of("good")
        .after(7 * DAY - 10 * MINUTE)
        .ocsp("good")
        .good();
    Case::of("good")
        .after(7 * DAY)
        .ocsp("good")
        .unusable("stale");
    Case::of("good")
        .after(-7 * MINUTE)
        .ocsp("good")
        .unusable("stale");
    Case::of("good").after(-5 * MINUTE).ocsp("good").good();
    Case::of("good")
        .after(30 * DAY - 20 * MINUTE)
        .crl("inter")
        .good();
    Case::of("good")
        .after(30 * DAY)
        .crl("inter")
        .unusable("stale");
    Case::of("good")
        .after(-17 * MINUTE)
        .crl("inter")
        .unusable("stale");
    Case::of("good").ocsp("endless").unusable("stale");
}

#[test]
fn a_revocation_is_believed_from_a_stale_answer() {
    for case in [
        Case::of("compromised").after(90 * DAY).ocsp("compromised"),
        Case::of("compromised").after(90 * DAY).crl("inter"),
    ] {
        assert!(matches!(case.status(), RevocationStatus::Revoked { .. }));
        assert!(!case.last_is_acceptable());
    }
}

#[test]
fn a_replayed_older_answer_does_not_undo_a_newer_one() {
    let case = Case::of("compromised").crl("before").crl("inter");
    let [_, before, newer] = &case.answers[..] else {
        unreachable!()
    };
    assert!(acceptable(before, &case.chain()));
    assert!(supersedes(newer, before, &case.chain()));
    assert!(!supersedes(before, newer, &case.chain()));
    assert!(supersedes(newer, newer, &case.chain()));
}

#[test]
fn a_hold_counts_until_it_is_lifted() {
    Case::of("held").crl("before").crl("inter").revoked();
    // Good by an answer that is ten minutes younger than the list.
    Case::of("held").crl("inter").ocsp("held-lifted").good();
    // Another reason cannot be lifted.
    Case::of("compromised")
        .crl("inter")
        .ocsp("compromised-lifted")
        .revoked();
}

#[test]
fn a_signature_before_the_invalidity_date_survives() {
    let since = seconds("invalid-since");
    for case in [
        Case::of("invalid").ocsp("invalid"),
        Case::of("invalid").crl("inter"),
    ] {
        let at = |signed_at: i64| status(&case.chain(), &case.answers, Some(Timestamp(signed_at)));
        assert_eq!(at(since - 1), RevocationStatus::Good);
        assert!(matches!(at(since), RevocationStatus::Revoked { .. }));
        assert!(matches!(at(since + 1), RevocationStatus::Revoked { .. }));
        case.revoked();
    }
}

#[test]
fn the_date_of_the_revocation_alone_excuses_nothing() {
    for leaf in ["compromised", "ceased", "held"] {
        for case in [Case::of(leaf).ocsp(leaf), Case::of(leaf).crl("inter")] {
            let long_before = Some(Timestamp(seconds("made-at") - 90 * DAY));
            let status = status(&case.chain(), &case.answers, long_before);
            assert!(matches!(status, RevocationStatus::Revoked { .. }), "{leaf}");
        }
    }
}

#[test]
fn the_issuer_or_a_responder_it_appointed_answers() {
    for response in [
        "by-key",
        "delegated",
        "delegated-key",
        "sha256-id",
        "delegated-short",
    ] {
        Case::of("good").ocsp(response).good();
    }
}

#[test]
fn nobody_else_answers() {
    for response in ["not-responder", "foreign", "impostor", "sha1"] {
        Case::of("good")
            .ocsp(response)
            .unusable("not signed by who may answer");
    }
}

#[test]
fn a_responder_whose_certificate_expired_does_not_answer() {
    Case::of("good").after(2 * DAY).ocsp("delegated").good();
    Case::of("good")
        .after(2 * DAY)
        .ocsp("delegated-short")
        .unusable("not signed by who may answer");
}

#[test]
fn an_answer_about_another_certificate_says_nothing() {
    for response in ["ceased", "other-issuer"] {
        Case::of("good")
            .ocsp(response)
            .unusable("about another certificate");
    }
}

#[test]
fn an_error_or_no_response_at_all_says_nothing() {
    Case::of("good")
        .ocsp("try-later")
        .unusable("cannot be read");
    for bytes in [
        Vec::new(),
        b"<html>".to_vec(),
        file("crl/inter.crl"),
        file("good.crt"),
    ] {
        let mut case = Case::of("good");
        case.answer(case.ocsp_want(), bytes.clone());
        case.unusable("cannot be read");
        let mut case = Case::of("crl_only");
        let want = RevocationWant::Crl {
            url: INTER_CRL.to_owned(),
        };
        case.answer(want, bytes.clone());
        if bytes != file("crl/inter.crl") {
            case.unusable("cannot be read");
        }
    }
}

#[test]
fn an_answer_counts_for_its_own_question_only() {
    let mut case = Case::of("good");
    let want = RevocationWant::Crl {
        url: "http://crl.example.com/other.crl".to_owned(),
    };
    case.answer(want, file("crl/inter.crl"));
    case.unusable("has not answered");
    let mut case = Case::of("good");
    let RevocationWant::Ocsp { request, .. } = case.ocsp_want() else {
        unreachable!()
    };
    let want = RevocationWant::Ocsp {
        url: "http://elsewhere.example.com/".to_owned(),
        request,
    };
    case.answer(want, file("ocsp/good.der"));
    case.unusable("has not answered");
    let mut case = Case::of("good");
    let RevocationWant::Ocsp { url, .. } = case.ocsp_want() else {
        unreachable!()
    };
    case.answer(
        RevocationWant::Ocsp {
            url,
            request: Vec::new(),
        },
        file("ocsp/good.der"),
    );
    case.unusable("has not answered");
}

#[test]
fn a_list_is_signed_by_the_issuer_of_the_certificate() {
    for list in ["impostor", "other", "root", "sha1"] {
        Case::of("good")
            .crl(list)
            .unusable("not signed by the certificate's issuer");
    }
    let mut case = Case::bare(&["silent", "mute", "root"]);
    case.crl_at(INTER_CRL, "mute");
    case.unusable("not signed by the certificate's issuer");
}

#[test]
fn a_list_that_does_not_cover_the_certificate_says_nothing() {
    for list in ["elsewhere", "authorities", "indirect", "some_reasons"] {
        Case::of("good").crl(list).unusable("does not cover");
    }
    Case::of("good").crl("delta").unusable("a delta CRL");
    Case::of("good")
        .crl("unknown_critical")
        .unusable("unknown critical extension");
    for list in ["here", "users", "freshest"] {
        Case::of("good").crl(list).good();
        Case::of("compromised").crl(list).revoked();
    }
}

#[test]
fn every_distribution_point_must_say_good_and_one_address_of_each_is_enough() {
    let mut case = Case::of("two_points").crl("inter");
    case.unknown("every distribution point");
    case.crl_at("http://crl.example.com/more.crl", "inter");
    case.good();
    Case::of("mirrored").crl("inter").good();
}

#[test]
fn an_answer_that_is_too_long_is_not_read() {
    let mut case = Case::of("good");
    case.answer(case.ocsp_want(), vec![0x30; (64 << 10) + 1]);
    case.unusable("too long");
    let mut case = Case::of("good");
    let want = RevocationWant::Crl {
        url: INTER_CRL.to_owned(),
    };
    case.answer(want, vec![0x30; (32 << 20) + 1]);
    case.unusable("too long");
}

#[test]
fn a_chain_that_cannot_be_read_is_unknown() {
    let cause = "its certificate chain cannot be read";
    assert_eq!(status(&[], &[], None), RevocationStatus::Unknown { cause });
    assert_eq!(
        status(&[b"0"], &[], None),
        RevocationStatus::Unknown { cause }
    );
    let root = file("root.crt");
    let long = vec![root.as_slice(); 17];
    assert_eq!(
        status(&long, &[], None),
        RevocationStatus::Unknown { cause }
    );
    assert!(wants(&long).is_empty());
}
