# Portcullis: what a person types. CI runs the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One target after the other: cargo shares its build folder.
.NOTPARALLEL:

# Tests start daemons and containers of their own: two at a time keep a small machine usable.
TEST_THREADS ?= 2
SKIPPED := $(CURDIR)/target/skipped-tests.txt

.PHONY: help demo test lint setup rust root

help: ## list these targets
	@printf 'Targets:\n'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '\nTests and the demo need Debian 12 and root: they run real containers in temporary directories.\n'

demo: rust root setup ## watch the gate at work on a real containerd, with real signatures
	cargo build --quiet --package portcullis --package portcullis-tests --bins
	target/debug/demo

test: rust root setup ## every test, those against real containerd, registry and notary included
	mkdir -p target && rm -f $(SKIPPED)
	cargo build --workspace --all-targets
	@status=0; \
	RUST_TEST_THREADS=$(TEST_THREADS) PORTCULLIS_SKIPPED=$(SKIPPED) \
	  cargo test --workspace --no-fail-fast || status=$$?; \
	if [ -s $(SKIPPED) ]; then \
	  printf '%s skipped:\n' "$$(sort -u $(SKIPPED) | wc -l)"; sort -u $(SKIPPED); \
	else \
	  printf 'nothing skipped\n'; \
	fi; \
	exit $$status

lint: rust ## formatting, clippy, rustdoc, shellcheck; cargo-deny where it is installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
	git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else printf 'cargo-deny is not installed: deny.toml was not checked\n'; fi

setup: ## install what tests and demo need (apt packages; containerd 2.x into target/peers)
	tests/setup.sh

rust:
	@command -v cargo >/dev/null || { \
	  printf '%s\n' 'cargo is missing: install Rust 1.95 or newer with rustup, then open a new shell.' >&2; exit 1; }

root:
	@[ "$$(id -u)" = 0 ] || { \
	  printf '%s\n' 'This starts containerd and containers: run it as root (sudo -E env PATH="$$PATH" make ...).' >&2; exit 1; }
