//! `cohort keys`: the keys that a first start of `cohort up` makes in its data folder, made
//! beforehand, for services that stand apart and get them from whoever keeps secrets.
//!
//! ```text
//! DIR/                   0700
//!   signing-0001.pem     identity: signs the access tokens
//!   identity.keyring     identity: its secret
//!   patient.keys         patient: seals what tells who somebody is
//!   jwks.json            everybody: the public keys that tokens are verified with
//! ```

use std::path::Path;

use anyhow::{Context as _, Result};
use identity::{config::JWKS_FILE, secrets::Secrets};
use tenon::{auth::Signer, store::seal::Keyring};

use crate::{Outcome, screen, up::described};

/// The keys of the patient service, as in the data folder.
pub(crate) const PATIENT: &str = "patient.keys";

/// Makes what is missing; keys that are there stay, because data is sealed and tokens are signed
/// with them.
pub(crate) fn make(folder: &Path) -> Result<Outcome> {
    let signer = Signer::open(folder)?;
    signer.write_jwks(&folder.join(JWKS_FILE))?;
    let unmade = |problem: tenon::Error| described(&problem);
    Secrets::open(folder)
        .map_err(unmade)
        .context("the secret of identity cannot be made")?;
    Keyring::load_or_create(folder.join(PATIENT))
        .map_err(unmade)
        .context("the keys of patient cannot be made")?;
    screen::say(format_args!(
        "{}: keep a copy apart from the data",
        folder.display()
    ));
    Ok(Outcome::Good)
}
