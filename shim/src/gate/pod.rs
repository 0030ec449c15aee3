//! Whose pull it is: only its own sandbox_config can say (docs/rules.md rule 5).

use portcullis_proto::cri::{PodSandboxConfig, value_of};

use super::record::Pod;
use super::refusal;
use crate::intercept::Refusal;

/// The label that the kubelet writes over whatever a pod's author put there.
const NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";

/// The pod of a pull. No sandbox_config, or one without a namespace: a call without a pod, under the cluster policies.
///
/// # Errors
/// A label that says another namespace than the metadata, or is given twice.
pub(super) fn of_pull(config: Option<&PodSandboxConfig>) -> Result<Pod, Refusal> {
    let Some(config) = config else {
        return Ok(Pod::default());
    };
    let label = value_of(&config.labels, NAMESPACE_LABEL).map_err(|error| refusal::wire(&error))?;
    let metadata = config.metadata.clone().unwrap_or_default();
    if label.is_some_and(|label| label != metadata.namespace) {
        return Err(refusal::invalid(
            "the pod's namespace and its label io.kubernetes.pod.namespace differ",
        ));
    }
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Pod {
        namespace: given(metadata.namespace),
        name: given(metadata.name),
        uid: given(metadata.uid),
    })
}

#[cfg(test)]
mod tests {
    use portcullis_proto::cri::{Entry, PodSandboxMetadata};

    use super::*;

    fn config(namespace: &str, label: Option<&str>) -> PodSandboxConfig {
        let label = label.map(|value| Entry {
            key: NAMESPACE_LABEL.to_owned(),
            value: value.to_owned(),
        });
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                namespace: namespace.to_owned(),
                ..Default::default()
            }),
            labels: label.into_iter().collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_label_cannot_claim_another_namespace() {
        assert!(of_pull(Some(&config("shop", Some("kube-system")))).is_err());
        assert!(of_pull(Some(&config("", Some("kube-system")))).is_err());
        let agreed = of_pull(Some(&config("shop", Some("shop"))));
        assert_eq!(agreed.map(|pod| pod.namespace), Ok(Some("shop".to_owned())));
    }

    #[test]
    fn a_call_without_a_pod_has_no_namespace() {
        assert_eq!(of_pull(None).map(|pod| pod.namespace), Ok(None));
        assert_eq!(
            of_pull(Some(&config("", None))).map(|pod| pod.namespace),
            Ok(None)
        );
    }
}
