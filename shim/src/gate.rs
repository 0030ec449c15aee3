//! The gate: judges each call, with I/O around the pure decision.
