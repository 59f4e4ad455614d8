//! PEM files: what is in them, and whether that changed.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustls::RootCertStore;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// Files whose content is watched.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Of the content that was looked at last. Not the content: a key is among it.
    seen: Mutex<u64>,
}

impl Files {
    /// The content as it is now counts as seen.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Self {
        let paths: Vec<_> = paths.cloned().collect();
        let seen = Mutex::new(digest(&paths));
        Self { paths, seen }
    }

    /// Whether the content is another than when this was last asked.
    pub(super) fn changed(&self) -> bool {
        let now = digest(&self.paths);
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *seen, now) != now
    }
}

/// Times of files lie (links that are swapped, copies that keep theirs), so content is compared.
fn digest(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// The certificates of a PEM file, in its order.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|cause| unreadable(path, &cause))?;
    if certificates.is_empty() {
        let path = path.display();
        return Err(format!(
            "{path} holds no certificate; expected PEM, the leaf first"
        ));
    }
    Ok(certificates)
}

/// The private key of a PEM file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| match cause {
        pem::Error::NoItemsFound => {
            format!("{} holds no private key; expected PEM", path.display())
        }
        cause => unreadable(path, &cause),
    })
}

/// The roots of a PEM file.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (taken, refused) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        let path = path.display();
        return Err(format!(
            "none of the {refused} certificates in {path} can be a root"
        ));
    }
    Ok(roots)
}

fn unreadable(path: &Path, cause: &pem::Error) -> String {
    format!("{} could not be read as PEM: {cause}", path.display())
}
