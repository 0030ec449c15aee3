#!/usr/bin/env bash
# Installs what the end-to-end tests and the demo need on Debian 12, as root. Nothing is done twice, and the machine's own
# apt state is left as it is: tools that Debian 12 lacks are unpacked into a folder of its own, never installed.
#
# PORTCULLIS_PEERS: that folder (default: target/peers in this workspace).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=${PORTCULLIS_PEERS:-$here/target/peers}

packages=(
  # What the build needs: a C compiler for aws-lc-sys, protoc for containerd-client, CA certificates for fetching crates.
  ca-certificates gcc git libc6-dev make protobuf-compiler shellcheck
  # What tests and demo run.
  busybox-static containerd containernetworking-plugins curl docker-registry gnupg libfaketime mount notary openssl perl-base runc
  skopeo
)
# From newer suites of Debian: containerd 2.x, and the signers.
newer=(containerd cosign notation)

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || printf '%s\n' "$package"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "these packages are missing; run this as root, or: apt-get install ${missing[*]}"
  say "installing ${missing[*]}"
  # Services that packages bring must not start: the tests run daemons of their own. An administrator's policy stays.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    # Whatever ends this script, the file goes with it: left behind, it would keep every later service from starting.
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local status=0
  apt_install "${missing[@]}" || { apt-get update -qq && apt_install "${missing[@]}"; } || status=$?
  [ "$status" = 0 ] || die "apt-get could not install ${missing[*]}"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The line that the machine itself installs Debian from, with the suite left open: "[options] URI".
own_source() {
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v codename="$codename" '
      function flush() {
        if (found && main && uri != "") { print (key != "" ? "[signed-by=" key "] " : "") uri; done = 1; exit }
        found = 0; main = 0; uri = ""; key = ""
      }
      /^[ \t]*$/ { flush(); next }
      tolower($1) == "uris:" { uri = $2 }
      tolower($1) == "suites:" { for (i = 2; i <= NF; i++) if ($i == codename) found = 1 }
      tolower($1) == "components:" { for (i = 2; i <= NF; i++) if ($i == "main") main = 1 }
      tolower($1) == "signed-by:" && $2 ~ /^\// { key = $2 }
      END { if (!done) flush() }
    ' "$file"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    awk -v codename="$codename" '
      $1 == "deb" {
        options = ""; at = 2
        if ($2 ~ /^\[/) { for (; at <= NF; at++) { options = options $at " "; if ($at ~ /\]$/) { at++; break } } }
        if ($(at + 1) != codename) next
        for (i = at + 2; i <= NF; i++) if ($i == "main") { print options $at; exit }
      }
    ' "$file"
  done
}

has_newer() { # package
  local tool=$peers/usr/bin/$1
  [ -x "$tool" ] || return 1
  case $1 in
    containerd) "$tool" --version 2>/dev/null | grep -Eq ' v?2\.[0-9]+\.' ;;
    # Sigstore bundles are its default from version 3 on, with a signing configuration.
    cosign) "$tool" sign --help 2>/dev/null | grep -q -- '--signing-config' ;;
    *) "$tool" version >/dev/null 2>&1 ;;
  esac
}

missing_newer() {
  local package
  for package in "${newer[@]}"; do
    has_newer "$package" || printf '%s\n' "$package"
  done
}

fetch_newer() { # source suite package...
  local state=$peers/apt source=$1 suite=$2 package
  shift 2
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/download"
  printf 'deb %s %s main\n' "$source" "$suite" >"$state/sources.list"
  local options=(
    -qq -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o "Dir::Etc::SourceList=$state/sources.list"
    -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o Acquire::Check-Valid-Until=false -o Acquire::Retries=2
  )
  apt-get "${options[@]}" update || return 0
  for package in "$@"; do
    (cd "$state/download" && rm -f ./*.deb && apt-get "${options[@]}" download "$package/$suite") || continue
    dpkg -x "$state"/download/"$package"_*.deb "$peers" || continue
    if has_newer "$package"; then say "$package from $suite is in $peers"; fi
  done
}

unpack_newer() {
  local missing source suite package
  mapfile -t missing < <(missing_newer)
  [ "${#missing[@]}" -gt 0 ] || return 0
  source=$(own_source | head -n 1)
  if [ -z "$source" ]; then
    say "no Debian source found in /etc/apt: tests that need ${missing[*]} will be counted as skipped"
    return 0
  fi
  for suite in sid testing; do
    mapfile -t missing < <(missing_newer)
    [ "${#missing[@]}" -gt 0 ] || break
    say "unpacking ${missing[*]} from $suite into $peers"
    fetch_newer "$source" "$suite" "${missing[@]}"
    rm -rf "${peers:?}/apt"
  done
  while read -r package; do
    say "$package cannot be had here: tests that need it will be counted as skipped"
  done < <(missing_newer)
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "this needs Debian's package tools; on another system install by hand: ${packages[*]}"
fi
install_packages
mkdir -p "$peers"
unpack_newer
