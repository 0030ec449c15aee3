//! Which manifest of an index this node runs, by containerd's default matcher (`platforms.Default`).

use super::json::{Descriptor, Platform};

/// Most variants of an architecture that a node runs.
type Preference = Vec<(&'static str, &'static str)>;

/// The manifest of the platform that this node prefers: the first of the best one it can run. One without a platform
/// counts only if there is no other.
pub(super) fn choose(manifests: &[Descriptor]) -> Option<&Descriptor> {
    choose_for(manifests, std::env::consts::ARCH)
}

fn choose_for<'a>(manifests: &'a [Descriptor], rust_architecture: &str) -> Option<&'a Descriptor> {
    for (architecture, variant) in runs(rust_architecture) {
        let found = manifests.iter().find(|manifest| {
            manifest.platform.as_ref().is_some_and(|platform| {
                let (other, other_variant) = normalised(platform);
                platform.os.eq_ignore_ascii_case("linux")
                    && other == architecture
                    && other_variant == variant
            })
        });
        if found.is_some() {
            return found;
        }
    }
    manifests
        .iter()
        .find(|manifest| manifest.platform.is_none())
}

/// What a node runs, most wanted first (containerd/platforms, `platformVector`).
fn runs(rust_architecture: &str) -> Preference {
    match rust_architecture {
        "x86_64" => vec![("amd64", ""), ("386", "")],
        "x86" => vec![("386", "")],
        "aarch64" => vec![
            ("arm64", ""),
            ("arm", "v8"),
            ("arm", "v7"),
            ("arm", "v6"),
            ("arm", "v5"),
        ],
        "arm" => vec![("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        "powerpc64" => vec![("ppc64le", "")],
        "riscv64" => vec![("riscv64", "")],
        "s390x" => vec![("s390x", "")],
        "loongarch64" => vec![("loong64", "")],
        _ => Vec::new(),
    }
}

/// Architecture and variant as containerd understands them (`normalizeArch`).
fn normalised(platform: &Platform) -> (String, String) {
    let architecture = platform.architecture.to_ascii_lowercase();
    let variant = platform.variant.to_ascii_lowercase();
    let (architecture, variant) = match (&*architecture, &*variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::json::Index;
    use super::*;

    /// Which of the platforms a node runs, by its place.
    fn chosen(node: &str, platforms: &[&str]) -> Option<usize> {
        let of: Vec<String> = platforms
            .iter()
            .enumerate()
            .map(|(at, platform)| {
                let platform = match platform.split('/').collect::<Vec<_>>()[..] {
                    [os, arch] => format!(r#","platform":{{"os":"{os}","architecture":"{arch}"}}"#),
                    [os, arch, variant] => format!(
                        r#","platform":{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}"#
                    ),
                    _ => String::new(),
                };
                format!(r#"{{"digest":"x","size":{at}{platform}}}"#)
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, of.join(","));
        let index = Index::parse(text.as_bytes()).unwrap();
        choose_for(&index.manifests.of, node).map(|chosen| usize::try_from(chosen.size).unwrap())
    }

    #[test]
    fn a_node_runs_what_containerd_would_choose_for_it() {
        for (node, platforms, wanted) in [
            ("x86_64", &["linux/arm64", "linux/amd64"][..], Some(1)),
            ("x86_64", &["windows/amd64", "linux/amd64"], Some(1)),
            ("x86_64", &["linux/amd64/v3", "linux/amd64"], Some(1)),
            ("x86_64", &["linux/amd64/v3"], None),
            ("x86_64", &["linux/amd64/v1"], Some(0)),
            ("x86_64", &["linux/386", "linux/amd64"], Some(1)),
            ("x86_64", &["linux/386"], Some(0)),
            ("x86_64", &["", "linux/amd64"], Some(1)),
            ("x86_64", &["linux/arm64", ""], Some(1)),
            ("x86_64", &["linux/amd64", "linux/amd64"], Some(0)),
            ("x86_64", &["unknown/unknown"], None),
            ("aarch64", &["linux/arm/v7", "linux/arm64/v8"], Some(1)),
            ("aarch64", &["linux/amd64", "linux/arm64"], Some(1)),
            ("aarch64", &["linux/arm/v6", "linux/arm/v7"], Some(1)),
            ("aarch64", &["linux/arm64/v9"], None),
            ("arm", &["linux/arm64", "linux/arm"], Some(1)),
            ("s390x", &["linux/amd64", "linux/s390x"], Some(1)),
            ("m68k", &["linux/amd64"], None),
        ] {
            assert_eq!(chosen(node, platforms), wanted, "{node} {platforms:?}");
        }
    }
}
