//! Configuration files of both generations.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;

use super::{Generation, PAUSE};

/// Pods need no network, and the machine's is left alone; CRI wants an address all the same.
const NETWORK: &str =
    r#"{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "address-only"}]}"#;

/// A CNI plugin that names an address and sets nothing up.
const PLUGIN: &str = r#"#!/bin/sh
cat >/dev/null
case "$CNI_COMMAND" in
ADD) printf '{"cniVersion":"0.4.0","interfaces":[{"name":"%s","sandbox":"%s"}],"ips":[{"version":"4","address":"192.0.2.10/32","interface":0}]}' "$CNI_IFNAME" "$CNI_NETNS" ;;
VERSION) printf '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}' ;;
esac
"#;

/// containerd adds loopback to every pod by itself, with this plugin.
const LOOPBACK: &str = "/usr/lib/cni/loopback";

/// Writes configuration and network into `dir`.
pub(super) fn write(generation: Generation, dir: &Path) -> Result<()> {
    for name in ["root", "state", "cni", "cni-bin", "certs.d", "opt", "pods"] {
        fs::create_dir_all(dir.join(name))?;
    }
    fs::write(dir.join("cni/10-address-only.conflist"), NETWORK)?;
    let plugin = dir.join("cni-bin/address-only");
    fs::write(&plugin, PLUGIN)?;
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
    symlink(LOOPBACK, dir.join("cni-bin/loopback"))?;
    let text = match generation {
        Generation::One => ONE,
        Generation::Two => TWO,
    };
    let text = text
        .replace("@DIR@", &dir.display().to_string())
        .replace("@PAUSE@", PAUSE);
    fs::write(dir.join("config.toml"), text)?;
    Ok(())
}

// restrict_oom_score_adj and disable_apparmor: machines without CAP_SYS_RESOURCE or AppArmor fail every sandbox
// without them, with a misleading message.
const ONE: &str = r#"version = 2
root = "@DIR@/root"
state = "@DIR@/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "@DIR@/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "@DIR@/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "@PAUSE@"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "@DIR@/cni-bin"
    conf_dir = "@DIR@/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "@DIR@/certs.d"
"#;

const TWO: &str = r#"version = 3
root = "@DIR@/root"
state = "@DIR@/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "@DIR@/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "@DIR@/opt"
[plugins."io.containerd.cri.v1.images"]
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "@PAUSE@"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "@DIR@/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["@DIR@/cni-bin"]
    conf_dir = "@DIR@/cni"
"#;
