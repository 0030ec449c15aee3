//! What a container will really run on: the parent of its snapshot must be the chain ID of the judged config's diff IDs.
//! No race over names survives this comparison (docs/rules.md rule 3).

use tokio::time::Instant;

use super::Gate;
use crate::containerd::ContainerdError;
use crate::store::Link;

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Snapshot {
    /// The judged image's layers.
    Judged,
    /// Other layers.
    Other {
        /// The parent found; `None`: no container, snapshot or parent.
        parent: Option<String>,
    },
}

impl Gate {
    /// Compares the snapshot of a container that exists with `link`.
    pub(super) async fn compare_snapshot(
        &self,
        container: &str,
        link: &Link,
        deadline: Instant,
    ) -> Result<Snapshot, ContainerdError> {
        let containerd = &self.inner.parts.containerd;
        let Some(core) = containerd.core_container(container, deadline).await? else {
            return Ok(Snapshot::Other { parent: None });
        };
        let chain = link.chain_id.to_string();
        let parent = containerd
            .snapshot_parent(&core.snapshotter, &core.snapshot_key, deadline)
            .await?;
        if parent.as_ref() == Some(&chain) {
            return Ok(Snapshot::Judged);
        }
        // With user namespaces and a snapshotter that cannot remap, containerd puts `<chain id>-<uid>-<gid>` between.
        if let Some(between) = parent.as_ref().filter(|parent| is_remapped(parent, &chain)) {
            let below = containerd
                .snapshot_parent(&core.snapshotter, between, deadline)
                .await?;
            if below.as_ref() == Some(&chain) {
                return Ok(Snapshot::Judged);
            }
        }
        Ok(Snapshot::Other { parent })
    }
}

fn is_remapped(name: &str, chain: &str) -> bool {
    let Some(ids) = name
        .strip_prefix(chain)
        .and_then(|rest| rest.strip_prefix('-'))
    else {
        return false;
    };
    let numbers: Vec<&str> = ids.split('-').collect();
    numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_remapped;

    #[test]
    fn only_a_remapped_copy_of_the_chain_is_walked_through() {
        assert!(is_remapped("sha256:aa-1000-1000", "sha256:aa"));
        for other in [
            "sha256:aa",
            "sha256:aa-",
            "sha256:aa-1",
            "sha256:aa-1-2-3",
            "sha256:ab-1-2",
            "sha256:aa-x-1",
        ] {
            assert!(!is_remapped(other, "sha256:aa"), "{other}");
        }
    }
}
