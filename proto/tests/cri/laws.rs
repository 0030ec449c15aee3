//! Laws of reading and splicing, on random requests from an independent encoder.

use bytes::Bytes;
use k8s_cri::v1;
use portcullis_proto::cri::{
    CreateContainerRequest, ImageStatusRequest, PullImageRequest, RemoveImageRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest, path,
};
use portcullis_proto::wire::{Defect, Step, replace, replace_at};
use portcullis_proto::{frame, method};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::expect::{self, Sorted};
use crate::generate as make;

/// An image name as the gate puts it in; never empty, as an empty string has no field.
fn image_name() -> impl Strategy<Value = String> {
    "\\PC{1,200}"
}

/// What is done to a byte, which one, and the new byte.
type Mutation = (u8, prop::sample::Index, u8);

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    vec(
        (any::<u8>(), any::<prop::sample::Index>(), any::<u8>()),
        1..4,
    )
}

/// Overwrites, inserts or removes single bytes.
fn mutate(message: &mut Vec<u8>, mutations: &[Mutation]) {
    for (kind, at, byte) in mutations {
        if message.is_empty() {
            return;
        }
        let at = at.index(message.len());
        match kind % 3 {
            0 => message[at] = *byte,
            1 => message.insert(at, *byte),
            _ => drop(message.remove(at)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pull_is_read_as_it_was_written(request in make::pull_image()) {
        let read = PullImageRequest::read(&request.encode_to_vec()).unwrap();
        prop_assert_eq!(read.sorted(), expect::read_pull(&request));
    }

    #[test]
    fn create_is_read_as_it_was_written(request in make::create_container()) {
        let read = CreateContainerRequest::read(&request.encode_to_vec()).unwrap();
        prop_assert_eq!(read.sorted(), expect::read_create(&request));
    }

    #[test]
    fn run_is_read_as_it_was_written(request in make::run_pod_sandbox()) {
        let read = RunPodSandboxRequest::read(&request.encode_to_vec()).unwrap();
        prop_assert_eq!(read.sorted(), expect::read_run(&request));
    }

    /// Whatever `read` takes, another decoder takes for the same: here every mutation that passes is compared.
    #[test]
    fn pull_that_is_accepted_is_read_alike_by_another_decoder(
        message in make::pull_image_with_unknown_fields(),
        mutations in mutations(),
    ) {
        let mut message = message;
        mutate(&mut message, &mutations);
        if let (Ok(ours), Ok(theirs)) = (PullImageRequest::read(&message), v1::PullImageRequest::decode(&*message)) {
            let mut ours = ours.sorted();
            // A key given twice is one entry for them; `value_of` refuses it. They do not know field 20.
            if !expect::has_key_twice(&ours) {
                ours.image.iter_mut().for_each(|spec| spec.image_ref.clear());
                prop_assert_eq!(ours, expect::read_pull(&theirs));
            }
        }
    }

    #[test]
    fn create_that_is_accepted_is_read_alike_by_another_decoder(
        request in make::create_container(),
        mutations in mutations(),
    ) {
        let mut message = request.encode_to_vec();
        mutate(&mut message, &mutations);
        let ours = CreateContainerRequest::read(&message);
        if let (Ok(ours), Ok(theirs)) = (ours, v1::CreateContainerRequest::decode(&*message)) {
            prop_assert_eq!(&ours.pod_sandbox_id, &theirs.pod_sandbox_id);
            let ours = ours.config.unwrap_or_default();
            let theirs = theirs.config.unwrap_or_default();
            prop_assert_eq!(
                ours.image.map(|spec| (spec.image, spec.user_specified_image)),
                theirs.image.map(|spec| (spec.image, spec.user_specified_image))
            );
            let volumes: Vec<_> = ours.mounts.into_iter().map(|mount| mount.image.map(|spec| spec.image)).collect();
            let theirs: Vec<_> = theirs.mounts.into_iter().map(|mount| mount.image.map(|spec| spec.image)).collect();
            prop_assert_eq!(volumes, theirs);
        }
    }

    #[test]
    fn pull_splice_changes_one_field_for_another_decoder(request in make::pull_image(), name in image_name()) {
        let message = request.encode_to_vec();
        let spliced = replace(&message, path::PULL_IMAGE, name.as_bytes());
        let mut expected = request;
        match &mut expected.image {
            Some(spec) if !spec.image.is_empty() => {
                spec.image = name;
                prop_assert_eq!(v1::PullImageRequest::decode(spliced.unwrap()).unwrap(), expected);
            }
            _ => prop_assert_eq!(spliced.unwrap_err().defect, Defect::Absent),
        }
    }

    #[test]
    fn create_splice_changes_one_field_for_another_decoder(
        request in make::create_container(),
        name in image_name(),
    ) {
        let message = request.encode_to_vec();
        let image = replace(&message, path::CREATE_IMAGE, name.as_bytes());
        let user_specified = replace(&message, path::CREATE_USER_SPECIFIED, name.as_bytes());

        let mut expected = request.clone();
        match expected.config.as_mut().and_then(|config| config.image.as_mut()) {
            Some(spec) if !spec.image.is_empty() => {
                spec.image.clone_from(&name);
                prop_assert_eq!(v1::CreateContainerRequest::decode(image.unwrap()).unwrap(), expected);
            }
            _ => prop_assert_eq!(image.unwrap_err().defect, Defect::Absent),
        }

        let mut expected = request;
        match expected.config.as_mut().and_then(|config| config.image.as_mut()) {
            Some(spec) if !spec.user_specified_image.is_empty() => {
                spec.user_specified_image = name;
                prop_assert_eq!(v1::CreateContainerRequest::decode(user_specified.unwrap()).unwrap(), expected);
            }
            _ => prop_assert_eq!(user_specified.unwrap_err().defect, Defect::Absent),
        }
    }

    #[test]
    fn image_volume_splice_changes_one_mount(
        request in make::create_container(),
        index in 0..4_usize,
        name in image_name(),
    ) {
        let spliced = replace_at(&request.encode_to_vec(), &path::create_mount_image(index), name.as_bytes());
        let mut expected = request;
        let mount = expected.config.as_mut().and_then(|config| config.mounts.get_mut(index));
        match mount.and_then(|mount| mount.image.as_mut()) {
            Some(spec) if !spec.image.is_empty() => {
                spec.image = name;
                prop_assert_eq!(v1::CreateContainerRequest::decode(spliced.unwrap()).unwrap(), expected);
            }
            _ => prop_assert_eq!(spliced.unwrap_err().defect, Defect::Absent),
        }
    }

    /// Unknown fields, order and maps survive: the way back restores the very bytes.
    #[test]
    fn splice_and_back_is_the_same_bytes(message in make::pull_image_with_unknown_fields(), name in image_name()) {
        let original = PullImageRequest::read(&message).unwrap().image.unwrap().image;
        prop_assume!(!original.is_empty());
        let spliced = replace(&message, path::PULL_IMAGE, name.as_bytes()).unwrap();
        let back = replace(&spliced, path::PULL_IMAGE, original.as_bytes()).unwrap();
        prop_assert_eq!(back, message);
    }

    /// With a value of the same length no length changes, so every byte outside the value is where it was.
    #[test]
    fn splice_of_equal_length_touches_only_the_value(message in make::pull_image_with_unknown_fields()) {
        let original = PullImageRequest::read(&message).unwrap().image.unwrap().image;
        prop_assume!(!original.is_empty());
        let marked = replace(&message, path::PULL_IMAGE, &vec![b'#'; original.len()]).unwrap();
        prop_assert_eq!(marked.len(), message.len());
        let start = message.windows(original.len()).zip(marked.windows(original.len()));
        let places: Vec<_> = start
            .enumerate()
            .filter(|(_, (old, new))| *old == original.as_bytes() && new.iter().all(|byte| *byte == b'#'))
            .map(|(at, _)| at)
            .collect();
        let only_the_value = places.iter().any(|&at| {
            let end = at + original.len();
            message[..at] == marked[..at] && message[end..] == marked[end..]
        });
        prop_assert!(only_the_value);
    }

    #[test]
    fn spliced_request_is_read_with_the_new_value(message in make::pull_image_with_unknown_fields(), name in image_name()) {
        let mut expected = PullImageRequest::read(&message).unwrap();
        prop_assume!(!expected.image.as_ref().unwrap().image.is_empty());
        let spliced = replace(&message, path::PULL_IMAGE, name.as_bytes()).unwrap();
        expected.image.as_mut().unwrap().image = name;
        prop_assert_eq!(PullImageRequest::read(&spliced).unwrap(), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300), path in vec(any::<u32>(), 0..5)) {
        let _ = PullImageRequest::read(&bytes);
        let _ = CreateContainerRequest::read(&bytes);
        let _ = StartContainerRequest::read(&bytes);
        let _ = RunPodSandboxRequest::read(&bytes);
        let _ = RemovePodSandboxRequest::read(&bytes);
        let _ = RemoveImageRequest::read(&bytes);
        let _ = ImageStatusRequest::read(&bytes);
        let _ = replace(&bytes, &path, b"x");
        let _ = replace(&bytes, path::PULL_IMAGE, b"x");
        let steps: Vec<_> = path.iter().map(|&number| Step::Nth(number % 32, number as usize % 3)).collect();
        let _ = replace_at(&bytes, &steps, b"x");
        let _ = frame::single(Bytes::from(bytes));
    }

    #[test]
    fn damaged_requests_never_panic(request in make::create_container(), mutations in mutations()) {
        let mut message = request.encode_to_vec();
        mutate(&mut message, &mutations);
        let _ = replace(&message, path::CREATE_IMAGE, b"x");
        let _ = replace(&message, path::CREATE_USER_SPECIFIED, b"x");
        let _ = replace_at(&message, &path::create_mount_image(1), b"x");
        let _ = CreateContainerRequest::read(&message);
    }

    #[test]
    fn frame_and_back_is_the_same_message(message in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(frame::single(frame::encode(&message)).unwrap(), message);
    }

    #[test]
    fn only_listed_paths_are_found(path in "/runtime[.]v1[.](Image|Runtime)Service/[A-Za-z]{0,20}") {
        let listed = method::METHODS.iter().find(|method| method.path == path);
        prop_assert_eq!(method::lookup(&path), listed);
    }
}
