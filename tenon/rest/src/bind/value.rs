//! The types that a contract knows besides structs, as JSON values.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tenon_core::Personal;

use super::{At, Base64, Json, Text, json::Reader, json::element};

/// What a type is called in a violation.
pub trait Kind: Sized {
    /// What would fit: `string`, `integer`, `object`.
    const EXPECTED: &'static str;

    /// The value that JSON's `null` stands for, in the one type that has such a value.
    fn null() -> Option<Self> {
        None
    }

    /// What an empty body is read as. An object without a body is one without fields.
    fn empty_body() -> &'static [u8] {
        b""
    }
}

macro_rules! kinds {
    ($($type:ty: $expected:literal),+ $(,)?) => {
        $(impl Kind for $type { const EXPECTED: &'static str = $expected; })+
    };
}

kinds! {
    bool: "boolean",
    i8: "integer from -128 to 127",
    i16: "integer from -32768 to 32767",
    i32: "integer of 32 bits",
    i64: "integer",
    u8: "integer from 0 to 255",
    u16: "integer from 0 to 65535",
    u32: "integer of 32 bits, not negative",
    u64: "integer, not negative",
    f32: "number of 32 bits",
    f64: "number",
    String: "string",
    Timestamp: "RFC 3339 time with offset",
    Base64: "base64 string",
}

impl<T: Kind> Kind for Personal<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn null() -> Option<Self> {
        T::null().map(Self::from)
    }
}

impl Json for bool {
    fn from_bool(value: bool, _: &At<'_>) -> Option<Self> {
        Some(value)
    }
}

impl Json for String {
    #[inline]
    fn from_text(value: &str, _: &At<'_>) -> Option<Self> {
        Some(value.to_owned())
    }
}

impl Json for Timestamp {
    fn from_text(value: &str, at: &At<'_>) -> Option<Self> {
        fits(Self::parse(value), at)
    }
}

impl Json for Base64 {
    fn from_text(value: &str, at: &At<'_>) -> Option<Self> {
        fits(STANDARD.decode(value).ok().map(Self), at)
    }
}

/// Records a `type` violation where there is no value.
fn fits<T: Kind>(value: Option<T>, at: &At<'_>) -> Option<T> {
    if value.is_none() {
        at.refuse("type", T::EXPECTED);
    }
    value
}

macro_rules! integers {
    ($($type:ty)+) => {$(
        impl Json for $type {
            fn from_negative(value: i64, at: &At<'_>) -> Option<Self> {
                fits(value.try_into().ok(), at)
            }

            #[inline]
            fn from_natural(value: u64, at: &At<'_>) -> Option<Self> {
                fits(value.try_into().ok(), at)
            }
        }
    )+};
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

impl Json for f64 {
    fn from_negative(value: i64, _: &At<'_>) -> Option<Self> {
        Some(value as f64)
    }

    fn from_natural(value: u64, _: &At<'_>) -> Option<Self> {
        Some(value as f64)
    }

    fn from_float(value: f64, _: &At<'_>) -> Option<Self> {
        Some(value)
    }
}

impl Json for f32 {
    fn from_negative(value: i64, _: &At<'_>) -> Option<Self> {
        Some(value as f32)
    }

    fn from_natural(value: u64, _: &At<'_>) -> Option<Self> {
        Some(value as f32)
    }

    fn from_float(value: f64, at: &At<'_>) -> Option<Self> {
        fits(Some(value as f32).filter(|value| value.is_finite()), at)
    }
}

/// A number or boolean inside a JSON string.
pub(super) struct Quoted<T>(pub(super) T);

impl<T: Text> Kind for Quoted<T> {
    const EXPECTED: &'static str = T::QUOTED;
}

impl<T: Text> Json for Quoted<T> {
    fn from_text(value: &str, at: &At<'_>) -> Option<Self> {
        fits(T::parse(value).map(Self), at)
    }
}

impl<T: Kind> Kind for Vec<T> {
    const EXPECTED: &'static str = "array";
}

impl<T: Json> Json for Vec<T> {
    fn from_array<'de, A: SeqAccess<'de>>(
        mut array: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        let mut fit = true;
        for index in 0.. {
            let at = at.index(index);
            let Some(slot) = array.next_element_seed(Reader::new(&at))? else {
                break;
            };
            match element(slot, &at) {
                Some(item) => items.push(item),
                // One element that does not fit spoils the list; the rest is still checked.
                None => fit = false,
            }
        }
        Ok(fit.then_some(items))
    }
}

impl<K, T> Kind for BTreeMap<K, T> {
    const EXPECTED: &'static str = "object";
}

impl<K: Text + Ord, T: Json> Json for BTreeMap<K, T> {
    fn from_object<'de, A: MapAccess<'de>>(
        mut object: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        let at = at.entry();
        let mut entries = Some(Self::new());
        while let Some(key) = object.next_key_seed(KeyText)? {
            let key = K::parse(&key);
            if key.is_none() {
                at.refuse("type", format!("a key that is {}", K::QUOTED));
            }
            let value = element(object.next_value_seed(Reader::new(&at))?, &at);
            match (key, value, &mut entries) {
                (Some(key), Some(value), Some(entries)) => {
                    if entries.insert(key, value).is_some() {
                        at.refuse("duplicate", "each key once");
                    }
                }
                _ => entries = None,
            }
        }
        Ok(entries)
    }
}

/// The key of a map.
struct KeyText;

impl<'de> DeserializeSeed<'de> for KeyText {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyText {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }
}

/// Any JSON value, in which no object has a key twice.
impl Kind for serde_json::Value {
    const EXPECTED: &'static str = "any JSON value";

    fn null() -> Option<Self> {
        Some(Self::Null)
    }
}

impl Json for serde_json::Value {
    fn from_bool(value: bool, _: &At<'_>) -> Option<Self> {
        Some(value.into())
    }

    fn from_negative(value: i64, _: &At<'_>) -> Option<Self> {
        Some(value.into())
    }

    fn from_natural(value: u64, _: &At<'_>) -> Option<Self> {
        Some(value.into())
    }

    fn from_float(value: f64, _: &At<'_>) -> Option<Self> {
        Some(value.into())
    }

    fn from_text(value: &str, _: &At<'_>) -> Option<Self> {
        Some(value.into())
    }

    fn from_array<'de, A: SeqAccess<'de>>(array: A, at: &At<'_>) -> Result<Option<Self>, A::Error> {
        Ok(Vec::from_array(array, at)?.map(Self::Array))
    }

    /// Not by way of a [`BTreeMap`]: what people send by the kilobyte would be built twice.
    fn from_object<'de, A: MapAccess<'de>>(
        mut object: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        let at = at.entry();
        let mut entries = Some(serde_json::Map::new());
        while let Some(key) = object.next_key_seed(KeyText)? {
            let value = element(object.next_value_seed(Reader::new(&at))?, &at);
            match (value, &mut entries) {
                (Some(value), Some(entries)) => {
                    if entries.insert(key, value).is_some() {
                        at.refuse("duplicate", "each key once");
                    }
                }
                _ => entries = None,
            }
        }
        Ok(entries.map(Self::Object))
    }
}
