//! The proxy: hyper in, hyper out, bodies passed as frames.
