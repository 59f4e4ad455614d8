//! Reading JSON leniently: each value takes every kind of JSON, records what does not fit, and
//! goes on. Only broken syntax ends the reading.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{At, Field, Kind, Slot, Text, value::Quoted};

/// A value in a JSON body. Each method takes one kind of JSON; a kind that the type does not take
/// is a `type` violation.
///
/// Generated code implements [`Object`] instead.
pub trait Json: Kind {
    /// `true` or `false`.
    fn from_bool(_value: bool, at: &At<'_>) -> Option<Self> {
        wrong::<Self>(at)
    }

    /// A negative integer.
    fn from_negative(_value: i64, at: &At<'_>) -> Option<Self> {
        wrong::<Self>(at)
    }

    /// An integer that is not negative.
    fn from_natural(_value: u64, at: &At<'_>) -> Option<Self> {
        wrong::<Self>(at)
    }

    /// A number with a fraction or an exponent, or an integer beyond 64 bits.
    fn from_float(_value: f64, at: &At<'_>) -> Option<Self> {
        wrong::<Self>(at)
    }

    /// A string.
    fn from_text(_value: &str, at: &At<'_>) -> Option<Self> {
        wrong::<Self>(at)
    }

    /// An array.
    ///
    /// # Errors
    /// The text is not JSON.
    fn from_array<'de, A: SeqAccess<'de>>(
        mut array: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        while array.next_element::<Skipped>()?.is_some() {}
        Ok(wrong::<Self>(at))
    }

    /// An object.
    ///
    /// # Errors
    /// The text is not JSON.
    fn from_object<'de, A: MapAccess<'de>>(
        mut object: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<Skipped, Skipped>()?.is_some() {}
        Ok(wrong::<Self>(at))
    }
}

fn wrong<T: Kind>(at: &At<'_>) -> Option<T> {
    at.refuse("type", T::EXPECTED);
    None
}

/// A struct of the contract, read from a JSON object. Implemented by generated code.
pub trait Object: Sized {
    /// The names of the fields on the wire, in the order of the contract.
    const KEYS: &'static [&'static str];

    /// Reads the fields; `Ok(None)` means that violations were recorded.
    ///
    /// # Errors
    /// The text is not JSON.
    fn read<'de, A: MapAccess<'de>>(json: Fields<'_, 'de, A>) -> Result<Option<Self>, A::Error>;
}

impl<T: Object> Kind for T {
    const EXPECTED: &'static str = "object";

    fn empty_body() -> &'static [u8] {
        b"{}"
    }
}

impl<T: Object> Json for T {
    fn from_object<'de, A: MapAccess<'de>>(
        object: A,
        at: &At<'_>,
    ) -> Result<Option<Self>, A::Error> {
        T::read(Fields {
            object,
            keys: T::KEYS,
            at,
            current: 0,
            guess: 0,
            seen: 0,
            seen_beyond: Vec::new(),
            input: PhantomData,
        })
    }
}

/// The fields of one JSON object while they are read.
pub struct Fields<'a, 'de, A: MapAccess<'de>> {
    object: A,
    keys: &'static [&'static str],
    at: &'a At<'a>,
    /// The field whose value comes next.
    current: usize,
    /// The field that probably comes after it.
    guess: usize,
    /// A bit for each of the first 64 fields that came.
    seen: u64,
    /// Further fields that came; few types have any.
    seen_beyond: Vec<usize>,
    input: PhantomData<&'de ()>,
}

impl<'a, 'de, A: MapAccess<'de>> Fields<'a, 'de, A> {
    /// The place of the next known field in [`Object::KEYS`]. Unknown keys are skipped (or
    /// recorded, where the route is strict); of a duplicate key the first value counts.
    ///
    /// # Errors
    /// The text is not JSON.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<usize>, A::Error> {
        loop {
            let seed = KeySeed {
                keys: self.keys,
                guess: self.guess,
                at: self.at,
            };
            match self.object.next_key_seed(seed)? {
                None => return Ok(None),
                Some(Some(key)) if self.first_time(key) => {
                    self.current = key;
                    self.guess = key + 1;
                    return Ok(Some(key));
                }
                Some(Some(key)) => {
                    let at = self.at.field(self.keys[key]);
                    at.refuse("duplicate", "the field once");
                    self.object.next_value::<Skipped>()?;
                }
                Some(None) => {
                    self.object.next_value::<Skipped>()?;
                }
            }
        }
    }

    /// The value of the key that [`Fields::next_key`] gave.
    ///
    /// # Errors
    /// The text is not JSON.
    #[inline]
    pub fn value<T: Json>(&mut self) -> Result<Slot<T>, A::Error> {
        let at = self.at.field(self.keys[self.current]);
        self.object.next_value_seed(Reader::new(&at))
    }

    /// A number or boolean that travels inside a string.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn quoted<T: Text>(&mut self) -> Result<Slot<T>, A::Error> {
        Ok(match self.value::<Quoted<T>>()? {
            Slot::Value(Quoted(value)) => Slot::Value(value),
            Slot::Absent => Slot::Absent,
            Slot::Null => Slot::Null,
            Slot::Invalid => Slot::Invalid,
        })
    }

    /// What was read for the field `key` of [`Object::KEYS`], to check its rules.
    #[inline]
    pub fn field<T>(&self, key: usize, slot: Slot<T>) -> Field<'_, T> {
        Field::new(self.at.field(self.keys[key]), slot)
    }

    /// Puts the fields together, once all of them were checked.
    ///
    /// # Errors
    /// None; the type is that of [`Object::read`].
    #[inline]
    pub fn build<T>(&self, fields: impl FnOnce() -> Option<T>) -> Result<Option<T>, A::Error> {
        Ok(fields())
    }

    #[inline]
    fn first_time(&mut self, key: usize) -> bool {
        if let Some(bit) = u32::try_from(key)
            .ok()
            .and_then(|key| 1_u64.checked_shl(key))
        {
            let first = self.seen & bit == 0;
            self.seen |= bit;
            return first;
        }
        let first = !self.seen_beyond.contains(&key);
        if first {
            self.seen_beyond.push(key);
        }
        first
    }
}

/// Finds a key among the fields. Keys mostly come in the order of the contract, so the one after
/// the last is tried first.
struct KeySeed<'a> {
    keys: &'static [&'static str],
    guess: usize,
    at: &'a At<'a>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        if self.keys.get(self.guess).is_some_and(|guess| *guess == key) {
            return Ok(Some(self.guess));
        }
        let found = self.keys.iter().position(|name| *name == key);
        if found.is_none() && self.at.strict() {
            self.at.refuse_key(key);
        }
        Ok(found)
    }
}

/// Reads one value of any kind as `T`.
pub(super) struct Reader<'a, T> {
    at: &'a At<'a>,
    wanted: PhantomData<T>,
}

impl<'a, T> Reader<'a, T> {
    #[inline]
    pub(super) fn new(at: &'a At<'a>) -> Self {
        Self {
            at,
            wanted: PhantomData,
        }
    }
}

impl<'de, T: Json> DeserializeSeed<'de> for Reader<'_, T> {
    type Value = Slot<T>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Slot<T>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Json> Visitor<'de> for Reader<'_, T> {
    type Value = Slot<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Slot<T>, E> {
        Ok(T::from_bool(value, self.at).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Slot<T>, E> {
        Ok(match u64::try_from(value) {
            Ok(natural) => T::from_natural(natural, self.at),
            Err(_) => T::from_negative(value, self.at),
        }
        .into())
    }

    #[inline]
    fn visit_u64<E>(self, value: u64) -> Result<Slot<T>, E> {
        Ok(T::from_natural(value, self.at).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Slot<T>, E> {
        Ok(T::from_float(value, self.at).into())
    }

    #[inline]
    fn visit_str<E>(self, value: &str) -> Result<Slot<T>, E> {
        Ok(T::from_text(value, self.at).into())
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<Slot<T>, E> {
        Ok(Slot::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Slot<T>, A::Error> {
        Ok(T::from_array(array, self.at)?.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Slot<T>, A::Error> {
        Ok(T::from_object(object, self.at)?.into())
    }
}

/// A value that nobody wants. It is read like any other, so that what is no JSON, or nested
/// without end, is refused wherever it stands: serde's own `IgnoredAny` lets both pass.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Reads one element of a list or a map, where `null` is never absence.
#[inline]
pub(super) fn element<T: Kind>(slot: Slot<T>, at: &At<'_>) -> Option<T> {
    match slot {
        Slot::Value(value) => Some(value),
        other => Field::new(*at, other).required(),
    }
}
