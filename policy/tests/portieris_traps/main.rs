//! Every trap that Portieris has for its users, with what happens here instead. Each test is named after the trap.

#[path = "../common/mod.rs"]
mod common;
mod documents;
mod matching;
mod signatures;
mod trust;

use portcullis_policy::model::{NotaryRequirement, Requirement};

fn notary_of(requirement: &Requirement) -> &NotaryRequirement {
    match requirement {
        Requirement::Notary(notary) => notary,
        other => panic!("not a trust requirement: {other:?}"),
    }
}

const SERVER: &str = "trustServer: 'https://notary.example.com:4443'";
