//! The gate between the kubelet and containerd. Everything is in the library; see `portcullis --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::main()
}
