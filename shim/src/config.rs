//! config.yaml: strict, every key with a default (CONTRACTS §1).
