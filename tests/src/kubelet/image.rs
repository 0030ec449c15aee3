//! kubelet's image manager: is it there, may it be pulled, which user does it run as.

use k8s_cri::v1::{AuthConfig, ImageSpec, PodSandboxConfig, PullImageRequest};

use super::{Kubelet, KubeletError, Pod, PullPolicy, Reason, timed};

impl Kubelet {
    /// kubelet's `EnsureImageExists`: the image reference to create from, which on containerd is the image ID.
    pub async fn ensure_image(
        &mut self,
        pod: &Pod,
        sandbox: &PodSandboxConfig,
    ) -> Result<String, KubeletError> {
        let spec = ImageSpec {
            image: pod.image_with_tag(),
            annotations: pod.all_annotations(),
            ..ImageSpec::default()
        };
        if pod.pull != PullPolicy::Always {
            let present = self
                .image_status(spec.clone())
                .await
                .map_err(|status| KubeletError::new(Reason::ImageInspect, &status))?;
            match present {
                Some(image) => return Ok(image.id),
                None if pod.pull == PullPolicy::Never => {
                    return Err(KubeletError::never(&pod.image));
                }
                None => {}
            }
        }
        let image_ref = self.pull(pod, &spec, sandbox).await?;
        // Since 1.30, for the size in the "Pulled" event.
        let _ = self.image_status(spec).await;
        Ok(image_ref)
    }

    async fn pull(
        &mut self,
        pod: &Pod,
        spec: &ImageSpec,
        sandbox: &PodSandboxConfig,
    ) -> Result<String, KubeletError> {
        let credentials: Vec<Option<AuthConfig>> = if pod.credentials.is_empty() {
            vec![None]
        } else {
            pod.credentials.iter().cloned().map(Some).collect()
        };
        let mut refusals = Vec::new();
        for auth in credentials {
            let request = PullImageRequest {
                image: Some(spec.clone()),
                auth,
                sandbox_config: Some(sandbox.clone()),
            };
            match self.images.pull_image(timed(request)).await {
                Ok(reply) => return Ok(reply.into_inner().image_ref),
                Err(status) => refusals.push(status),
            }
        }
        Err(KubeletError::pull(&pod.image, &refusals))
    }

    /// kubelet's `getImageUser`: asked with the image exactly as the pod names it, without annotations. An image that is
    /// absent here gives root.
    pub(super) async fn image_user(
        &mut self,
        pod: &Pod,
    ) -> Result<(Option<i64>, String), KubeletError> {
        let spec = ImageSpec {
            image: pod.image.clone(),
            ..ImageSpec::default()
        };
        let image = self
            .image_status(spec)
            .await
            .map_err(|status| KubeletError::new(Reason::ImageInspect, &status))?;
        Ok(match image {
            None => (Some(0), String::new()),
            Some(image) => match image.uid {
                Some(uid) => (Some(uid.value), String::new()),
                None if !image.username.is_empty() => (None, image.username),
                None => (Some(0), String::new()),
            },
        })
    }
}
