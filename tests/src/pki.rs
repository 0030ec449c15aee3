//! Certificate authorities of the tests' own, made by openssl: certificates by profile, and revocation lists.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::daemon::run;

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum Profile<'a> {
    /// An authority.
    Authority,
    /// An authority for signing code alone, as Fulcio's.
    Intermediate,
    /// Signing code.
    Code,
    /// Signing code; whether it was revoked stands at this URL.
    CodeWithCrl(&'a str),
    /// Signing timestamps.
    Timestamps,
    /// As Fulcio makes them: a subject alternative name (a URI), and the issuer that vouches for it.
    Keyless {
        /// Who.
        identity: &'a str,
        /// By whose word.
        issuer: &'a str,
    },
}

impl Profile<'_> {
    fn extensions(self) -> String {
        let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                    authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n";
        let mut text = match self {
            Self::Authority | Self::Intermediate => {
                "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
                                subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            }
            _ => leaf,
        }
        .to_owned();
        match self {
            Self::Authority => {}
            Self::Code | Self::Intermediate => text.push_str("extendedKeyUsage=codeSigning\n"),
            Self::CodeWithCrl(url) => {
                let _ = write!(
                    text,
                    "extendedKeyUsage=codeSigning\ncrlDistributionPoints=URI:{url}\n"
                );
            }
            Self::Timestamps => text.push_str("extendedKeyUsage=critical,timeStamping\n"),
            // fulcio, docs/oid-info.md: 1.3.6.1.4.1.57264.1.8 is the issuer.
            Self::Keyless { identity, issuer } => {
                let _ = write!(
                    text,
                    "extendedKeyUsage=codeSigning\nsubjectAltName=critical,URI:{identity}\n\
                     1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:{issuer}\n"
                );
            }
        }
        text
    }
}

/// The authorities with all they made, in one directory: `NAME.key`, `NAME.crt`, and `NAME.chain` from it to its root.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// None yet, in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        run(Command::new("openssl")
            .args(arguments)
            .current_dir(&self.dir))?;
        Ok(())
    }

    /// A file of `name`: `key`, `crt` or `chain`.
    pub fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{name}.{kind}"))
    }

    /// The same, read.
    pub fn pem(&self, name: &str, kind: &str) -> Result<String> {
        Ok(fs::read_to_string(self.file(name, kind))?)
    }

    /// Makes an authority that nobody vouches for.
    pub fn root(&self, name: &str) -> Result<()> {
        self.make(name, name, Profile::Authority, 3650)
    }

    /// Makes a key (ECDSA P-256) and has `issuer` certify it for so many days; its subject ends with `CN=name`.
    pub fn issue(&self, name: &str, issuer: &str, profile: Profile<'_>, days: u32) -> Result<()> {
        self.make(name, issuer, profile, days)
    }

    fn make(&self, name: &str, issuer: &str, profile: Profile<'_>, days: u32) -> Result<()> {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let (request, extensions) = (format!("{name}.csr"), format!("{name}.ext"));
        let subject = format!("/C=US/ST=WA/O=Example/CN={name}");
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let mut arguments = vec!["req", "-new", "-nodes", "-sha256", "-subj", &subject];
        arguments.extend(curve);
        arguments.extend(["-keyout", &key, "-out", &request]);
        self.openssl(&arguments)?;
        fs::write(self.dir.join(&extensions), profile.extensions())?;
        let days = days.to_string();
        let (issuer_key, issuer_certificate) = (format!("{issuer}.key"), format!("{issuer}.crt"));
        let mut arguments = vec!["x509", "-req", "-sha256", "-in", &request, "-days", &days];
        arguments.extend(["-extfile", &extensions, "-out", &certificate]);
        if issuer == name {
            arguments.extend(["-signkey", &key]);
        } else {
            arguments.extend(["-CA", &issuer_certificate, "-CAkey", &issuer_key]);
            arguments.push("-CAcreateserial");
        }
        self.openssl(&arguments)?;
        let mut chain = self.pem(name, "crt")?;
        if issuer != name {
            chain.push_str(&self.pem(issuer, "chain")?);
        }
        fs::write(self.file(name, "chain"), chain)?;
        Ok(())
    }

    /// The list of what `issuer` revoked, DER: these, for 30 days.
    pub fn crl(&self, issuer: &str, revoked: &[&str]) -> Result<Vec<u8>> {
        let database = format!("{issuer}.db");
        // `openssl ca` refuses to revoke twice: each list is made from nothing.
        fs::write(self.dir.join(&database), "")?;
        let config = format!("{issuer}.cnf");
        fs::write(
            self.dir.join(&config),
            format!(
                "[ca]\ndefault_ca=c\n[c]\ndatabase={database}\ncrlnumber={issuer}.number\ndefault_md=sha256\n\
                 default_crl_days=30\ncertificate={issuer}.crt\nprivate_key={issuer}.key\n"
            ),
        )?;
        let number = self.dir.join(format!("{issuer}.number"));
        if !number.exists() {
            fs::write(number, "01\n")?;
        }
        for name in revoked {
            let certificate = format!("{name}.crt");
            self.openssl(&["ca", "-config", &config, "-revoke", &certificate])?;
        }
        let (pem, der) = (format!("{issuer}.crl.pem"), format!("{issuer}.crl"));
        self.openssl(&["ca", "-config", &config, "-gencrl", "-out", &pem])?;
        self.openssl(&["crl", "-in", &pem, "-outform", "DER", "-out", &der])?;
        Ok(fs::read(self.dir.join(der))?)
    }

    /// When a list was made, as openssl prints it.
    pub fn made(&self, crl: &[u8]) -> Result<String> {
        let file = self.dir.join("looked-at.crl");
        fs::write(&file, crl)?;
        let mut command = Command::new("openssl");
        command.args(["crl", "-inform", "DER", "-noout", "-lastupdate", "-in"]);
        run(command.arg(&file))
    }
}
