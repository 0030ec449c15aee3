//! What a failed check comes to (trust-store-trust-policy.md, "Signature Verification details" and "Custom Verification
//! Level").

use std::collections::BTreeMap;

use portcullis_policy::model::{NotationAction, NotationCheck, NotationLevel};

use super::error::NotationError;

/// The action of every check.
#[derive(Debug, Clone)]
pub(super) struct Actions {
    level: NotationLevel,
    overrides: BTreeMap<NotationCheck, NotationAction>,
}

impl Actions {
    /// A level with what differs from it.
    ///
    /// # Errors
    /// What may not be overridden so.
    pub(super) fn new(
        level: NotationLevel,
        overrides: &BTreeMap<NotationCheck, NotationAction>,
    ) -> Result<Self, &'static str> {
        for (check, action) in overrides {
            match (check, action) {
                (NotationCheck::Integrity, _) => {
                    return Err("integrity cannot be overridden: it is always enforced");
                }
                (NotationCheck::Revocation, _)
                | (_, NotationAction::Enforce | NotationAction::Log) => {}
                (_, NotationAction::Skip) => return Err("only revocation can be skipped"),
            }
        }
        Ok(Self {
            level,
            overrides: overrides.clone(),
        })
    }

    pub(super) fn of(&self, check: NotationCheck) -> NotationAction {
        if check == NotationCheck::Integrity {
            return NotationAction::Enforce;
        }
        if let Some(action) = self.overrides.get(&check) {
            return *action;
        }
        match (self.level, check) {
            (NotationLevel::Strict, _)
            | (NotationLevel::Permissive, NotationCheck::Authenticity) => NotationAction::Enforce,
            _ => NotationAction::Log,
        }
    }

    /// Whether revocation is looked at.
    pub(super) fn checks_revocation(&self) -> bool {
        self.of(NotationCheck::Revocation) != NotationAction::Skip
    }

    /// `result`, or, where the check is not enforced, nothing and a note about it.
    pub(super) fn apply<T>(
        &self,
        check: NotationCheck,
        result: Result<T, NotationError>,
        notes: &mut Vec<String>,
    ) -> Result<Option<T>, NotationError> {
        match (result, self.of(check)) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), NotationAction::Enforce) => Err(error),
            (Err(error), NotationAction::Log) => {
                notes.push(format!(
                    "{} failed and is only logged: {error}",
                    name(check)
                ));
                Ok(None)
            }
            (Err(_), NotationAction::Skip) => Ok(None),
        }
    }
}

/// As the trust policy spells it.
fn name(check: NotationCheck) -> &'static str {
    match check {
        NotationCheck::Integrity => "integrity",
        NotationCheck::Authenticity => "authenticity",
        NotationCheck::AuthenticTimestamp => "authenticTimestamp",
        NotationCheck::Expiry => "expiry",
        NotationCheck::Revocation => "revocation",
    }
}
