//! Keys and certificates, made by openssl.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::daemon::run;

fn openssl(arguments: &[&str]) -> Result<String> {
    run(Command::new("openssl").args(arguments))
}

const CURVE: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

/// One authority, and a certificate each for server and signer, in `dir`.
pub(super) fn make(dir: &Path) -> Result<()> {
    let file = |name: &str| dir.join(name).display().to_string();
    let (ca, ca_key) = (file("ca.crt"), file("ca.key"));
    let mut arguments = vec![
        "req",
        "-x509",
        "-days",
        "3650",
        "-sha256",
        "-subj",
        "/CN=notary-test-ca",
    ];
    arguments.extend(CURVE);
    arguments.extend(["-keyout", &ca_key, "-out", &ca]);
    arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    openssl(&arguments)?;
    for name in ["server", "signer"] {
        let (key, request) = (file(&format!("{name}.key")), file(&format!("{name}.csr")));
        let (certificate, extensions) =
            (file(&format!("{name}.crt")), file(&format!("{name}.ext")));
        let subject = format!("/CN=notary-{name}");
        fs::write(
            &extensions,
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
        )?;
        let mut arguments = vec!["req", "-new", "-subj", &subject];
        arguments.extend(CURVE);
        arguments.extend(["-keyout", &key, "-out", &request]);
        openssl(&arguments)?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            "825",
            "-sha256",
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ])?;
    }
    Ok(())
}

/// A signer's key at `key` and its certificate beside it.
pub(super) fn signer(key: &Path, name: &str) -> Result<()> {
    let certificate = key.with_extension("crt").display().to_string();
    let subject = format!("/CN={name}");
    let key = key.display().to_string();
    let mut arguments = vec!["req", "-x509", "-days", "730", "-sha256", "-subj", &subject];
    arguments.extend(CURVE);
    arguments.extend(["-keyout", &key, "-out", &certificate]);
    openssl(&arguments)?;
    Ok(())
}

/// The public half of a key, PEM.
pub(super) fn public_key(key: &Path) -> Result<String> {
    openssl(&["pkey", "-in", &key.display().to_string(), "-pubout"])
}
