//! CRI messages and gRPC frames: what a client on the socket sends.

use portcullis_proto::cri::{
    CreateContainerRequest, ImageStatusRequest, PullImageRequest, RunPodSandboxRequest, path,
};
use portcullis_proto::{frame, wire};

/// Reads `bytes` as a frame and as each request, and replaces the image in it.
///
/// # Panics
/// If an image that was replaced is not what is read afterwards: that is a finding.
pub fn run(bytes: &[u8]) {
    if let Ok(message) = frame::single(bytes.to_vec().into()) {
        assert_eq!(frame::encode(&message), bytes);
    }
    let _ = CreateContainerRequest::read(bytes);
    let _ = RunPodSandboxRequest::read(bytes);
    let _ = ImageStatusRequest::read(bytes);
    if PullImageRequest::read(bytes).is_ok_and(|request| request.image.is_some())
        && let Ok(pinned) = wire::replace(bytes, path::PULL_IMAGE, b"pinned")
    {
        let request = PullImageRequest::read(&pinned).expect("a spliced request is strict");
        assert_eq!(
            request.image.map(|image| image.image).as_deref(),
            Some("pinned")
        );
    }
}
