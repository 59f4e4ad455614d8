//! How values of a contract are written where JSON differs from the Rust type; used by the
//! `serde` attributes of generated types.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use tenon_core::Personal;

/// Bytes, in JSON a string of padded standard base64 (RFC 4648 section 4).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&base64::display::Base64Display::new(&self.0, &STANDARD))
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Deref for Base64 {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Base64 {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Base64> for Vec<u8> {
    fn from(bytes: Base64) -> Self {
        bytes.0
    }
}

/// Whether a value is the zero value of its type, which `omitempty` leaves out.
pub fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a number or boolean inside a string, as the tag `string` asks.
///
/// # Errors
/// Only the serializer's own.
pub fn string<T: fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Like [`string()`]; an absent value is `null`, which the field's attribute leaves out.
///
/// # Errors
/// Only the serializer's own.
pub fn optional_string<T: fmt::Display, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// Like [`string()`], of a personal value.
///
/// # Errors
/// Only the serializer's own.
pub fn personal_string<T: fmt::Display, S: Serializer>(
    value: &Personal<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    string(value.expose(), to)
}

/// Like [`optional_string`], of a personal value.
///
/// # Errors
/// Only the serializer's own.
pub fn optional_personal_string<T: fmt::Display, S: Serializer>(
    value: &Option<Personal<T>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    optional_string(&value.as_ref().map(Personal::expose), to)
}
