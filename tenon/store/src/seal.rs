//! Personal values, sealed before they reach the database.
//!
//! Each owner (a subject) has a random data key, stored wrapped by a key that lies outside the
//! database ([`Keyring`]). A sealed value is bound to its place: moved to another row, column,
//! table or owner it does not open. Destroying an owner's data key ([`destroy`]) makes all its
//! values unreadable, in every copy that does not hold the key.
//!
//! What stays visible: that a value exists, and its length. Blind indexes also show which rows
//! hold equal values; use them for identity numbers and phones, never for what has few values.

mod keyring;

use std::{fmt, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tenon_core::{Context, Error, Result};
use zeroize::Zeroizing;

use crate::{Db, FromValue, Rx, ToValue, Tx, Value, args, entries::open_failed};
pub use keyring::Keyring;

/// The version of a sealed value's layout: format, algorithm, generation of the data key (4
/// bytes), nonce (12), ciphertext, tag (16).
const FORMAT: u8 = 1;
/// AES-256-GCM.
const ALGORITHM: u8 = 1;
const NONCE: usize = 12;
const HEADER: usize = 6 + NONCE;
/// The only generation there is yet.
const GENERATION: u32 = 1;

/// Where a sealed value stands. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key, as text.
    pub row: &'a str,
    /// Whose value it is: the data key's owner.
    pub owner: &'a str,
}

/// A sealed value, as it is stored (a `BYTEA` column).
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// For an audit record: `{"sealed": "<base64>"}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "sealed": STANDARD.encode(&self.0) })
    }

    /// The value of [`Sealed::to_json`]; nothing when it is something else.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        let text = value.get("sealed")?.as_str()?;
        STANDARD.decode(text).ok().map(Self)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

impl ToValue for Sealed {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(&self.0)
    }
}

impl FromValue for Sealed {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        Vec::from_value(value)
            .map(Self)
            .map_err(|_| "a sealed value")
    }
}

/// An opened value. It prints as `[redacted]` and is wiped when it goes.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes. What is made of them is no longer wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    ///
    /// # Errors
    /// `INTERNAL` when it is not UTF-8.
    pub fn expose_text(&self) -> Result<&str> {
        std::str::from_utf8(&self.0).map_err(|_| Error::internal("open a value", "it is not text"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What equal values have in common and nothing else: 16 bytes to search by (a `BYTEA` column).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlindIndex(pub(crate) [u8; 16]);

impl ToValue for BlindIndex {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(&self.0)
    }
}

impl FromValue for BlindIndex {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        <[u8; 16]>::from_value(value).map(Self)
    }
}

/// Seals a value for its place. The owner's data key is made with its first value.
///
/// # Errors
/// As [`Tx::execute`]; `INTERNAL` when the owner's key is wrapped by a key that the ring lacks.
pub async fn seal(tx: &mut Tx, ring: &Keyring, place: Place<'_>, plain: &[u8]) -> Result<Sealed> {
    let key = match data_key(tx, ring, place.owner).await? {
        Some(key) => key,
        None => create_data_key(tx, ring, place.owner).await?,
    };
    let mut sealed = Vec::with_capacity(HEADER + plain.len() + 16);
    sealed.extend([FORMAT, ALGORITHM]);
    sealed.extend(GENERATION.to_be_bytes());
    encrypt(&key, &place.bound(), plain, &mut sealed)?;
    Ok(Sealed(sealed))
}

/// Opens a value that was sealed for this place. For several values of one owner, an [`Opener`]
/// reads the owner's key once.
///
/// # Errors
/// As [`Opener::of`] and [`Opener::open`].
pub async fn open(
    rx: &mut Rx,
    ring: &Keyring,
    place: Place<'_>,
    sealed: &Sealed,
) -> Result<Secret> {
    Opener::of(rx, ring, place.owner).await?.open(place, sealed)
}

/// Opens the values of one owner.
pub struct Opener {
    owner: String,
    key: Option<KeyBytes>,
}

impl Opener {
    /// With the data key of `owner`.
    ///
    /// # Errors
    /// `INTERNAL` when the key is wrapped by one that the ring lacks; else as [`Rx::optional`].
    pub async fn of(rx: &mut Rx, ring: &Keyring, owner: &str) -> Result<Self> {
        let key = data_key(rx, ring, owner).await?;
        let owner = owner.to_owned();
        Ok(Self { owner, key })
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// `INTERNAL` when it was sealed for another place or another owner, was changed, or its key
    /// was destroyed.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret> {
        let refused = |problem: &'static str| Error::internal("open a sealed value", problem);
        let [FORMAT, ALGORITHM, body @ ..] = sealed.0.as_slice() else {
            return Err(refused(
                "its format is unknown; a newer program may know it",
            ));
        };
        let body = body
            .strip_prefix(&GENERATION.to_be_bytes())
            .ok_or_else(|| refused("the generation of its data key is unknown"))?;
        let own = self.key.as_ref().filter(|_| place.owner == self.owner);
        let key = own.ok_or_else(|| refused("the data key of its owner does not exist"))?;
        decrypt(key, &place.bound(), body)
            .map(Secret)
            .ok_or_else(|| refused("it was sealed for another place or was changed"))
    }
}

/// The ring of a database, from its file. New keys are made only while nothing is sealed: a ring
/// whose file was lost comes back from its copy. Another one in its place would open nothing that
/// is there, and its blind indexes would find nobody again.
///
/// # Errors
/// `OPEN_FAILED` as [`Keyring::load_or_create`], when the file is missing although values are
/// sealed, and when it is not the ring that they were sealed with.
pub async fn keyring(db: &Db, path: impl AsRef<Path>) -> Result<Keyring> {
    const ANY: &str = "SELECT owner, wrapping_version, wrapped FROM data_key
        ORDER BY owner, generation LIMIT 1";
    let path = path.as_ref();
    let cx = Context::background();
    let known: Option<(String, u32, Vec<u8>)> = db.optional(&cx, ANY, args![]).await?;
    let Some((owner, version, wrapped)) = known else {
        return Keyring::load_or_create(path);
    };
    let ring = Keyring::load(path)?;
    let fits = ring.unwrap(&owner, version, &wrapped);
    fits.map_err(|_| {
        let problem =
            "these are not the keys that the data was sealed with; restore those from their copy";
        open_failed(path, problem)
    })?;
    Ok(ring)
}

/// Destroys an owner's data key: its sealed values can never be opened again. Blind indexes of
/// its rows are the caller's to clear. Whether there was a key.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn destroy(tx: &mut Tx, owner: &str) -> Result<bool> {
    const SQL: &str = "DELETE FROM data_key WHERE owner = $1";
    Ok(tx.execute(SQL, args![owner]).await? > 0)
}

/// Wraps up to `limit` data keys anew that are not under the ring's newest key; how many it did.
/// Repeat until 0, then the older keys can leave the ring. Values stay as they are.
///
/// # Errors
/// As [`seal`].
pub async fn rewrap(tx: &mut Tx, ring: &Keyring, limit: u32) -> Result<usize> {
    const OLD: &str = "SELECT owner FROM data_key WHERE wrapping_version <> $1
        ORDER BY owner LIMIT $2";
    const SET: &str = "UPDATE data_key SET wrapping_version = $1, wrapped = $2
        WHERE owner = $3 AND generation = $4";
    let version = ring.newest();
    let owners: Vec<String> = tx.all(OLD, args![version, limit]).await?;
    for owner in &owners {
        if let Some(key) = data_key(tx, ring, owner).await? {
            let wrapped = ring.wrap(owner, &key)?;
            tx.execute(SET, args![version, wrapped, owner, GENERATION])
                .await?;
        }
    }
    Ok(owners.len())
}

impl Place<'_> {
    /// What a value is bound to: each part with its length, so that no two places look alike.
    fn bound(&self) -> Vec<u8> {
        let mut bound = vec![FORMAT];
        for part in [self.table, self.column, self.row, self.owner] {
            bound.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bound.extend(part.as_bytes());
        }
        bound
    }
}

/// The bytes of a key.
pub(crate) type KeyBytes = Zeroizing<[u8; 32]>;

async fn data_key(rx: &mut Rx, ring: &Keyring, owner: &str) -> Result<Option<KeyBytes>> {
    const SQL: &str = "SELECT wrapping_version, wrapped FROM data_key
        WHERE owner = $1 AND generation = $2";
    let found: Option<(u32, Vec<u8>)> = rx.optional(SQL, args![owner, GENERATION]).await?;
    let Some((version, wrapped)) = found else {
        return Ok(None);
    };
    ring.unwrap(owner, version, &wrapped).map(Some)
}

async fn create_data_key(tx: &mut Tx, ring: &Keyring, owner: &str) -> Result<KeyBytes> {
    const SQL: &str = "INSERT INTO data_key (owner, generation, wrapping_version, wrapped)
        VALUES ($1, $2, $3, $4)";
    let key = keyring::random_key()?;
    let wrapped = ring.wrap(owner, &key)?;
    tx.execute(SQL, args![owner, GENERATION, ring.newest(), wrapped])
        .await?;
    Ok(key)
}

/// Appends nonce, ciphertext and tag to `out`.
pub(crate) fn encrypt(key: &KeyBytes, bound: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let failed = |_| Error::internal("seal a value", "the cipher refused it");
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(failed)?;
    let mut body = plain.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound), &mut body)
        .map_err(failed)?;
    out.extend(nonce.as_ref());
    out.extend(body);
    Ok(())
}

/// Opens what [`encrypt`] wrote; nothing when it was changed or bound to something else.
pub(crate) fn decrypt(key: &KeyBytes, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(NONCE)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(bound), &mut body)
        .ok()?
        .len();
    body.truncate(length);
    Some(body)
}
