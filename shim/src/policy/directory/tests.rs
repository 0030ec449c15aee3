use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::clock::SystemClock;

fn reader(dir: &Path) -> DirectoryReader {
    DirectoryReader::new(dir, Duration::from_millis(1))
}

fn names(dir: &Path) -> Vec<String> {
    match reader(dir).read(&SystemClock).unwrap() {
        Contents::Missing => panic!("missing"),
        Contents::Files(files) => files.into_iter().map(|file| file.name).collect(),
    }
}

#[test]
fn only_policy_files_are_read_in_name_order() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "b.yaml",
        "a.yml",
        "c.json",
        ".hidden.yaml",
        "d.yaml~",
        "e.txt",
        "yaml",
        "keys__a.pub",
    ] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::create_dir(dir.path().join("folder.yaml")).unwrap();
    fs::write(dir.path().join("other/policy.yaml"), "{}").unwrap();
    fs::create_dir(dir.path().join("keys")).unwrap();
    fs::write(dir.path().join("keys/shop.pub"), "key").unwrap();
    fs::write(dir.path().join("keys/no.yaml"), "never").unwrap();
    assert_eq!(
        names(dir.path()),
        ["a.yml", "b.yaml", "c.json", "keys/shop.pub", "keys__a.pub"]
    );
}

fn write(dir: &Path, name: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, name).unwrap();
}

#[test]
fn the_folders_of_other_tools_are_read_and_no_deeper() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = [
        "containers/RPM-GPG-KEY-release",
        "containers/policy.json",
        "containers/registries.d/default.yaml",
        "containers__shop.json",
        "keys/RPM-GPG-KEY-release",
        "keys/root.der",
        "keys/shop.gpg",
        "keys/trusted_root.json",
        "keys__RPM-GPG-KEY-release",
        "notation/trustpolicy.json",
        "notation/x509/ca/acme/root.pem",
        "notation/x509/tsa/stamp/root.cer",
        "notation__x509__ca__acme__root.crt",
    ];
    let ignored = [
        ".git/a.yaml",
        "containers/.policy.json",
        "containers/certs.d/x.yaml",
        "containers/policy.json~",
        "containers/registries.d/.a.yaml",
        "containers/registries.d/README",
        "containers/registries.d/deeper/a.yaml",
        "keys/deeper/a.pub",
        "keys/notes.txt",
        "notation/plugins/x/y.pem",
        "notation/x509/.ca/acme/root.pem",
        "notation/x509/ca/acme/deeper/root.pem",
        "notation/x509/ca/acme/README",
    ];
    for name in wanted.iter().chain(&ignored) {
        write(dir.path(), name);
    }
    assert_eq!(names(dir.path()), wanted);
}

#[test]
fn a_folder_of_another_tool_that_others_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "notation/x509/ca/acme/root.pem");
    let store = dir.path().join("notation/x509/ca/acme");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
    let error = reader(dir.path()).read(&SystemClock).unwrap_err();
    assert_eq!(error.path(), store);
    assert!(matches!(error, ReadError::Unsafe { .. }), "{error}");
}

#[test]
fn a_folder_that_leads_back_to_itself_is_read_once_for_each_level() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "notation/x509/ca/acme/root.pem");
    symlink("../..", dir.path().join("notation/x509/ca/loop")).unwrap();
    assert_eq!(
        names(dir.path()),
        ["notation/x509/ca/acme/root.pem"],
        "what lies deeper than a trust store is not read"
    );
}

#[test]
fn more_folders_than_the_cap_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..300 {
        fs::create_dir_all(dir.path().join(format!("notation/x509/ca/{n}"))).unwrap();
    }
    let error = reader(dir.path()).read(&SystemClock).unwrap_err();
    assert!(error.to_string().contains("policy folders"), "{error}");
}

#[test]
fn a_missing_directory_is_not_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        reader(&dir.path().join("none")).read(&SystemClock).unwrap(),
        Contents::Missing
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn behind_a_data_link_only_that_directory_counts() {
    let dir = tempfile::tempdir().unwrap();
    for version in ["..1", "..2"] {
        fs::create_dir(dir.path().join(version)).unwrap();
    }
    fs::write(dir.path().join("..1/old.yaml"), "1").unwrap();
    fs::write(dir.path().join("..2/new.yaml"), "2").unwrap();
    fs::write(dir.path().join("stray.yaml"), "never").unwrap();
    symlink("..1", dir.path().join("..data")).unwrap();
    assert_eq!(names(dir.path()), ["old.yaml"]);
    symlink("..2", dir.path().join("..data_tmp")).unwrap();
    fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    assert_eq!(names(dir.path()), ["new.yaml"]);
}

#[test]
fn a_dangling_data_link_is_an_error_and_not_an_empty_set() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stray.yaml"), "never").unwrap();
    symlink("..gone", dir.path().join("..data")).unwrap();
    assert!(matches!(
        reader(dir.path()).read(&SystemClock),
        Err(ReadError::Io { .. })
    ));
}

#[test]
fn a_dangling_file_link_is_an_error_and_not_a_smaller_set() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), "a").unwrap();
    symlink("nowhere", dir.path().join("b.yaml")).unwrap();
    assert!(matches!(
        reader(dir.path()).read(&SystemClock),
        Err(ReadError::Io { .. })
    ));
}

#[test]
fn files_and_directories_that_others_may_write_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    fs::write(&file, "a").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let error = reader(dir.path()).read(&SystemClock).unwrap_err();
    assert!(error.to_string().contains("chmod go-w"), "{error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(names(dir.path()), ["a.yaml"]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = reader(dir.path()).read(&SystemClock).unwrap_err();
    assert!(matches!(error, ReadError::Unsafe { .. }), "{error}");
}

#[test]
fn a_set_larger_than_the_caps_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::File::create(dir.path().join("a.yaml"))
        .unwrap()
        .set_len(MAX_BYTES + 1)
        .unwrap();
    assert!(matches!(
        reader(dir.path()).read(&SystemClock),
        Err(ReadError::TooMuch { .. })
    ));
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    for n in 0..=MAX_FILES {
        fs::write(dir.path().join(format!("{n}.yaml")), "").unwrap();
    }
    assert!(matches!(
        reader(dir.path()).read(&SystemClock),
        Err(ReadError::TooMuch { .. })
    ));
}

#[test]
fn a_file_exchanged_while_the_set_is_read_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), "first").unwrap();
    let before = list(dir.path()).unwrap().unwrap();
    fs::write(dir.path().join("new"), "other").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("a.yaml")).unwrap();
    assert_ne!(list(dir.path()).unwrap().unwrap(), before);
}

#[test]
fn flips_during_reading_never_give_a_mixture() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let publish = move |version: usize| {
        let target = path.join(format!("..v{version}"));
        fs::create_dir(&target).unwrap();
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(target.join(name), version.to_string()).unwrap();
        }
        symlink(&target, path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        if let Some(old) = version.checked_sub(1) {
            let _ = fs::remove_dir_all(path.join(format!("..v{old}")));
        }
    };
    publish(0);
    let writer = std::thread::spawn(move || (1..200).for_each(publish));
    let mut seen = 0;
    while !writer.is_finished() || seen == 0 {
        match reader(dir.path()).read(&SystemClock) {
            Ok(Contents::Files(files)) => {
                assert_eq!(files.len(), 3);
                assert!(files.iter().all(|file| file.bytes == files[0].bytes));
                seen += 1;
            }
            Ok(Contents::Missing) => panic!("never missing"),
            // Too busy is an honest answer; a link that dangles for the moment between two system calls, too.
            Err(ReadError::Restless { .. } | ReadError::Io { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    writer.join().unwrap();
}
