//! A certificate authority for tests: services with good, expired and foreign certificates.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot have its certificates fails here"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// An authority whose root and certificates lie as PEM files in a folder.
pub struct Authority {
    folder: PathBuf,
    root: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of one certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// What a certificate of a test says.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The names of files: `NAME.crt` and `NAME.key`.
    pub name: &'a str,
    /// The URI among its subject alternative names.
    pub uri: Option<&'a str>,
    /// The DNS name among them; `127.0.0.1` and `::1` are always there.
    pub dns: &'a str,
    /// Whether it ended long ago.
    pub is_expired: bool,
}

impl<'a> Subject<'a> {
    /// A service with the identity `spiffe://test/NAME`, on this machine.
    pub fn service(name: &'a str, uri: &'a str) -> Self {
        Self {
            name,
            uri: Some(uri),
            dns: "localhost",
            is_expired: false,
        }
    }
}

impl Authority {
    /// An authority that writes into `folder`, its root as `NAME-root.crt`.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let root = params.self_signed(&key).expect("a root can be signed");
        let folder = folder.to_owned();
        fs::write(folder.join(format!("{name}-root.crt")), root.pem())
            .expect("the root is written");
        Self {
            folder,
            root,
            issuer: Issuer::new(params, key),
        }
    }

    /// The root, PEM.
    pub fn root(&self) -> String {
        self.root.pem()
    }

    /// Issues a certificate and writes its files, over those of the same name.
    ///
    /// # Panics
    /// The files cannot be written.
    pub fn issue(&self, subject: Subject<'_>) -> Issued {
        let mut params = params(&[subject.dns, "127.0.0.1", "::1"]);
        if let Some(uri) = subject.uri {
            let uri = uri.try_into().expect("a URI is ASCII");
            params.subject_alt_names.insert(0, SanType::URI(uri));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if subject.is_expired {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        let at = |ending: &str| self.folder.join(format!("{}.{ending}", subject.name));
        let issued = Issued {
            cert: at("crt"),
            key: at("key"),
        };
        fs::write(&issued.cert, cert.pem()).expect("the certificate is written");
        fs::write(&issued.key, key.serialize_pem()).expect("the key is written");
        issued
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names are ASCII");
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    params
}
