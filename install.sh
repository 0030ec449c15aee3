#!/bin/sh
# Says what an installation will consist of. It changes nothing yet.
set -eu

cat <<'TEXT'
portcullis: the installer is not written yet. What it will do, as root on a node:

  1. copy    portcullis                        to /usr/local/bin/
  2. copy    systemd/portcullis.service        to /etc/systemd/system/
             systemd/portcullis.socket
  3. make    /etc/portcullis/policy.d/         if absent; an existing configuration is never changed
  4. write   /etc/portcullis/config.yaml       with `mode: audit`, if absent, so that nothing is refused at first
  5. write   /etc/portcullis/bootstrap.yaml    with the digest of this node's pause image, if absent
  6. run     portcullis policy lint /etc/portcullis/policy.d
  7. start   portcullis.socket, portcullis.service
  8. point   the kubelet at unix:///run/portcullis/cri.sock (containerRuntimeEndpoint) and restart it

Until then do these steps by hand. Nothing was changed.
TEXT
exit 2
