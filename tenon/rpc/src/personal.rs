//! How messages with personal fields are written and read. prost's derive takes no field of a type
//! that is not its own, so generated code describes such a message to [`message!`](crate::message)
//! instead, one line a field, and what follows from that is put together here from prost's own
//! encodings. All other messages are derived.
//!
//! ```
//! use tenon_core::Personal;
//! use tenon_rpc::prost::Message;
//!
//! #[derive(Debug, Clone, Default, PartialEq)]
//! struct Person {
//!     id: String,
//!     name: Personal<String>,
//!     phone: Option<Personal<String>>,
//! }
//!
//! tenon_rpc::message! {
//!     Person {
//!         1 => id: [plain string],
//!         2 => name: [plain personal string],
//!         3 => phone: [optional personal string],
//!     }
//! }
//!
//! let person = Person { id: "S-1".to_owned(), name: "Ada".to_owned().into(), phone: None };
//! assert_eq!(person.encode_to_vec(), b"\x0a\x03S-1\x12\x03Ada");
//! assert_eq!(format!("{person:?}"), r#"Person { id: "S-1", name: [personal], phone: None }"#);
//! ```

mod describe;

use std::{collections::HashMap, hash::Hash, marker::PhantomData};

use bytes::{Buf, BufMut};
use prost::{
    DecodeError, Message as AnyMessage,
    encoding::{self, DecodeContext, WireType, check_wire_type},
};
use tenon_core::Personal;

/// How the value of a field stands on the wire. What is always written is described by its type
/// alone; the others wrap it.
pub trait Shape {
    /// The type of the field.
    type Value: Default;

    /// Writes the field.
    fn put(tag: u32, value: &Self::Value, to: &mut impl BufMut);

    /// How many bytes [`Shape::put`] writes.
    fn size(tag: u32, value: &Self::Value) -> usize;

    /// Reads one occurrence of the field, and merges it as Protocol Buffers has it.
    ///
    /// # Errors
    /// The bytes are no such value. The error does not quote them.
    fn take(
        wire_type: WireType,
        value: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Result<(), DecodeError>;

    /// Reads one occurrence of a repeated field; of numbers that may be many.
    ///
    /// # Errors
    /// As [`Shape::take`].
    fn take_more(
        wire_type: WireType,
        values: &mut Vec<Self::Value>,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut value = Self::Value::default();
        Self::take(wire_type, &mut value, from, cx)?;
        values.push(value);
        Ok(())
    }
}

/// A shape whose values may stand together in one field.
pub trait Number: Shape {
    /// Writes all of them in one field; nothing where there are none.
    fn put_packed(tag: u32, values: &[Self::Value], to: &mut impl BufMut);

    /// How many bytes [`Number::put_packed`] writes.
    fn size_packed(tag: u32, values: &[Self::Value]) -> usize;
}

/// What reading gives: nothing but whether it went well.
type Taken = Result<(), DecodeError>;

/// A value that cannot be printed.
pub struct Concealed<S>(PhantomData<S>);

impl<S: Shape> Shape for Concealed<S> {
    type Value = Personal<S::Value>;

    fn put(tag: u32, value: &Self::Value, to: &mut impl BufMut) {
        S::put(tag, value.expose(), to);
    }

    fn size(tag: u32, value: &Self::Value) -> usize {
        S::size(tag, value.expose())
    }

    fn take(
        wire_type: WireType,
        value: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        S::take(wire_type, value.expose_mut(), from, cx)
    }
}

/// A value that is not written where it is the default of its type.
pub struct Plain<S>(PhantomData<S>);

impl<S: Shape<Value: PartialEq>> Shape for Plain<S> {
    type Value = S::Value;

    fn put(tag: u32, value: &Self::Value, to: &mut impl BufMut) {
        if *value != S::Value::default() {
            S::put(tag, value, to);
        }
    }

    fn size(tag: u32, value: &Self::Value) -> usize {
        match *value == S::Value::default() {
            true => 0,
            false => S::size(tag, value),
        }
    }

    fn take(
        wire_type: WireType,
        value: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        S::take(wire_type, value, from, cx)
    }
}

/// A value that may be absent.
pub struct Optional<S>(PhantomData<S>);

impl<S: Shape> Shape for Optional<S> {
    type Value = Option<S::Value>;

    fn put(tag: u32, value: &Self::Value, to: &mut impl BufMut) {
        if let Some(value) = value {
            S::put(tag, value, to);
        }
    }

    fn size(tag: u32, value: &Self::Value) -> usize {
        value.as_ref().map_or(0, |value| S::size(tag, value))
    }

    fn take(
        wire_type: WireType,
        value: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        S::take(wire_type, value.get_or_insert_default(), from, cx)
    }
}

/// Many values, each in a field of its own.
pub struct Repeated<S>(PhantomData<S>);

impl<S: Shape> Shape for Repeated<S> {
    type Value = Vec<S::Value>;

    fn put(tag: u32, values: &Self::Value, to: &mut impl BufMut) {
        for value in values {
            S::put(tag, value, to);
        }
    }

    fn size(tag: u32, values: &Self::Value) -> usize {
        values.iter().map(|value| S::size(tag, value)).sum()
    }

    fn take(
        wire_type: WireType,
        values: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        S::take_more(wire_type, values, from, cx)
    }
}

/// Many numbers, together in one field.
pub struct Packed<S>(PhantomData<S>);

impl<S: Number> Shape for Packed<S> {
    type Value = Vec<S::Value>;

    fn put(tag: u32, values: &Self::Value, to: &mut impl BufMut) {
        S::put_packed(tag, values, to);
    }

    fn size(tag: u32, values: &Self::Value) -> usize {
        S::size_packed(tag, values)
    }

    fn take(
        wire_type: WireType,
        values: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        S::take_more(wire_type, values, from, cx)
    }
}

/// A map, each entry in a field of its own.
pub struct Map<K, V>(PhantomData<(K, V)>);

impl<K: Shape<Value: Eq + Hash + Ord>, V: Shape<Value: PartialEq>> Shape for Map<K, V> {
    type Value = HashMap<K::Value, V::Value>;

    fn put(tag: u32, values: &Self::Value, to: &mut impl BufMut) {
        encoding::hash_map::encode(K::put, K::size, V::put, V::size, tag, values, to);
    }

    fn size(tag: u32, values: &Self::Value) -> usize {
        encoding::hash_map::encoded_len(K::size, V::size, tag, values)
    }

    fn take(
        wire_type: WireType,
        values: &mut Self::Value,
        from: &mut impl Buf,
        cx: DecodeContext,
    ) -> Taken {
        check_wire_type(WireType::LengthDelimited, wire_type)?;
        encoding::hash_map::merge(K::take, V::take, values, from, cx)
    }
}

/// A message.
pub struct Message<M>(PhantomData<M>);

impl<M: AnyMessage + Default> Shape for Message<M> {
    type Value = M;

    fn put(tag: u32, value: &M, to: &mut impl BufMut) {
        encoding::message::encode(tag, value, to);
    }

    fn size(tag: u32, value: &M) -> usize {
        encoding::message::encoded_len(tag, value)
    }

    fn take(wire_type: WireType, value: &mut M, from: &mut impl Buf, cx: DecodeContext) -> Taken {
        encoding::message::merge(wire_type, value, from, cx)
    }
}

macro_rules! scalars {
    ($($(#[$docs:meta])* $name:ident: $type:ty, $module:ident $($more:ident)?;)+) => {$(
        $(#[$docs])*
        pub enum $name {}

        impl Shape for $name {
            type Value = $type;

            fn put(tag: u32, value: &$type, to: &mut impl BufMut) {
                encoding::$module::encode(tag, value, to);
            }

            fn size(tag: u32, value: &$type) -> usize {
                encoding::$module::encoded_len(tag, value)
            }

            fn take(
                wire_type: WireType,
                value: &mut $type,
                from: &mut impl Buf,
                cx: DecodeContext,
            ) -> Taken {
                encoding::$module::merge(wire_type, value, from, cx)
            }

            $(
                // Packed or not, as the other side writes them.
                fn take_more(
                    wire_type: WireType,
                    values: &mut Vec<$type>,
                    from: &mut impl Buf,
                    cx: DecodeContext,
                ) -> Taken {
                    encoding::$module::$more(wire_type, values, from, cx)
                }
            )?
        }
    )+};
}

macro_rules! numbers {
    ($($(#[$docs:meta])* $name:ident: $type:ty, $module:ident;)+) => {
        scalars! { $($(#[$docs])* $name: $type, $module merge_repeated;)+ }

        $(impl Number for $name {
            fn put_packed(tag: u32, values: &[$type], to: &mut impl BufMut) {
                encoding::$module::encode_packed(tag, values, to);
            }

            fn size_packed(tag: u32, values: &[$type]) -> usize {
                encoding::$module::encoded_len_packed(tag, values)
            }
        })+
    };
}

scalars! {
    /// `string`
    Text: String, string;
    /// `bytes`
    Bytes: Vec<u8>, bytes;
}

numbers! {
    /// `bool`
    Bool: bool, bool;
    /// `double`
    Double: f64, double;
    /// `float`
    Float: f32, float;
    /// `int32`, and enums
    Int32: i32, int32;
    /// `int64`
    Int64: i64, int64;
    /// `uint32`
    Uint32: u32, uint32;
    /// `uint64`
    Uint64: u64, uint64;
    /// `sint32`
    Sint32: i32, sint32;
    /// `sint64`
    Sint64: i64, sint64;
    /// `fixed32`
    Fixed32: u32, fixed32;
    /// `fixed64`
    Fixed64: u64, fixed64;
    /// `sfixed32`
    Sfixed32: i32, sfixed32;
    /// `sfixed64`
    Sfixed64: i64, sfixed64;
}
