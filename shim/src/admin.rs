//! The admin socket: root only, HTTP/1.1 with JSON (CONTRACTS §6).
