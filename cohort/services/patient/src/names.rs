//! Sealed values opened: one subject's for those who may know it, and the names of many.

use moka::sync::Cache;
use std::sync::Arc;
use tenon::{
    Personal, Result,
    store::{
        Rx,
        seal::{self, Keyring, Opener, Sealed},
    },
};
use zeroize::Zeroizing;

use crate::subject::{Identity, Subject, place};

/// How many opened names are kept: those of the largest studies, in some ten megabytes.
const NAMES_MAX: u64 = 50_000;

/// Opens what tells who the subject is.
pub(crate) async fn identity(rx: &mut Rx, ring: &Keyring, subject: &Subject) -> Result<Identity> {
    let mut opened = [None, None, None];
    // All three are sealed with the key of the person.
    let opener = Opener::of(rx, ring, &subject.person_id).await?;
    let sealed = [
        ("name", &subject.name),
        ("identity_number", &subject.identity_number),
        ("phone", &subject.phone),
    ];
    for (opened, (column, sealed)) in opened.iter_mut().zip(sealed) {
        if let Some(sealed) = sealed {
            let place = place(column, &subject.id, &subject.person_id);
            let secret = opener.open(place, sealed)?;
            *opened = Some(Personal::from(secret.expose_text()?.to_owned()));
        }
    }
    let [name, identity_number, phone] = opened;
    Ok(Identity {
        name,
        identity_number,
        phone,
    })
}

/// The names that were opened lately, so that the list of a study opens each once.
///
/// A name is kept under the version of its row: whatever changes the row, the destruction of the
/// person's key included, also changes the version, and the old name is never found again.
#[derive(Clone)]
pub struct Names {
    opened: Cache<(String, i64), Arc<Zeroizing<String>>>,
}

impl Names {
    /// Nothing is opened yet.
    pub(crate) fn new() -> Self {
        Self {
            opened: Cache::new(NAMES_MAX),
        }
    }

    /// The name of a subject; empty where it is not known.
    pub(crate) async fn open(
        &self,
        rx: &mut Rx,
        ring: &Keyring,
        subject: &Named<'_>,
    ) -> Result<Personal<String>> {
        let Some(sealed) = subject.sealed else {
            return Ok(Personal::default());
        };
        let key = (subject.id.to_owned(), subject.version);
        if let Some(name) = self.opened.get(&key) {
            return Ok(String::clone(&name).into());
        }
        let place = place("name", subject.id, subject.person_id);
        let secret = seal::open(rx, ring, place, sealed).await?;
        let name = secret.expose_text()?.to_owned();
        self.opened
            .insert(key, Arc::new(Zeroizing::new(name.clone())));
        Ok(name.into())
    }
}

/// A subject whose name is wanted.
pub(crate) struct Named<'a> {
    pub(crate) id: &'a str,
    pub(crate) person_id: &'a str,
    pub(crate) version: i64,
    pub(crate) sealed: Option<&'a Sealed>,
}
