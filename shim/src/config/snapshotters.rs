//! `lazySnapshotters:`: `deny`, or the names an operator acknowledges.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Which snapshotters that do not check diff IDs on use are acknowledged (docs/rules.md).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LazySnapshotters {
    acknowledged: BTreeSet<String>,
}

impl LazySnapshotters {
    /// Whether an operator accepted `snapshotter`. `deny`, the default, accepts none.
    pub fn acknowledges(&self, snapshotter: &str) -> bool {
        self.acknowledged.contains(snapshotter)
    }
}

impl<'de> Deserialize<'de> for LazySnapshotters {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Words)
    }
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = LazySnapshotters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`deny` or a list of snapshotter names")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LazySnapshotters, E> {
        if text == "deny" {
            Ok(LazySnapshotters::default())
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<LazySnapshotters, A::Error> {
        let mut acknowledged = BTreeSet::new();
        while let Some(name) = names.next_element::<String>()? {
            if name.is_empty() {
                return Err(de::Error::custom("a snapshotter's name cannot be empty"));
            }
            acknowledged.insert(name);
        }
        Ok(LazySnapshotters { acknowledged })
    }
}
