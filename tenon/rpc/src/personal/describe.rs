//! What generated code describes messages and oneofs with personal fields to.

/// `impl prost::Message` for a message with personal fields: a line for each field, with its tag
/// (of a oneof all tags), its name and its shape. The order is that of the tags.
///
/// A shape is the type of the contract (`string`, `int32`, `enumeration`, `message Birth`,
/// `map [string] [message Birth]`) behind words for what holds it: `plain` (not written where it
/// is the default of its type), `optional`, `repeated`, `packed`, and `personal`. `oneof` stands
/// before the type of a oneof.
#[macro_export]
macro_rules! message {
    ($name:ident { $($($tag:literal)|+ => $field:ident: [$($shape:tt)+]),* $(,)? }) => {
        impl $crate::prost::Message for $name {
            fn encode_raw(&self, to: &mut impl $crate::prost::bytes::BufMut) {
                $($crate::field!(put [$($shape)+] self.$field, to, $($tag)+);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: $crate::prost::encoding::WireType,
                from: &mut impl $crate::prost::bytes::Buf,
                cx: $crate::prost::encoding::DecodeContext,
            ) -> ::core::result::Result<(), $crate::prost::DecodeError> {
                match tag {
                    $($($tag)|+ => $crate::field!(
                        take [$($shape)+] self.$field, from, tag, wire_type, cx
                    )
                    .map_err(|mut error| {
                        error.push(::core::stringify!($name), ::core::stringify!($field));
                        error
                    }),)*
                    _ => $crate::prost::encoding::skip_field(wire_type, tag, from, cx),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ $crate::field!(size [$($shape)+] self.$field, $($tag)+))*
            }

            fn clear(&mut self) {
                *self = ::core::default::Default::default();
            }
        }
    };
}

/// What a message needs of a oneof with personal fields: a line for each variant, as for
/// [`message!`](crate::message).
#[macro_export]
macro_rules! oneof {
    ($name:ident { $($tag:literal => $variant:ident: [$($shape:tt)+]),* $(,)? }) => {
        impl $name {
            /// Writes the field.
            pub fn encode(&self, to: &mut impl $crate::prost::bytes::BufMut) {
                match self {
                    $(Self::$variant(value) => $crate::field!(put [$($shape)+] *value, to, $tag),)*
                }
            }

            /// Reads the field with this tag, and merges it into `held`.
            ///
            /// # Errors
            /// The bytes are no such value.
            pub fn merge(
                held: &mut ::core::option::Option<Self>,
                tag: u32,
                wire_type: $crate::prost::encoding::WireType,
                from: &mut impl $crate::prost::bytes::Buf,
                cx: $crate::prost::encoding::DecodeContext,
            ) -> ::core::result::Result<(), $crate::prost::DecodeError> {
                match tag {
                    $($tag => {
                        if let ::core::option::Option::Some(Self::$variant(value)) = held {
                            return $crate::field!(
                                take [$($shape)+] *value, from, tag, wire_type, cx
                            );
                        }
                        let mut value = ::core::default::Default::default();
                        $crate::field!(take [$($shape)+] value, from, tag, wire_type, cx)?;
                        *held = ::core::option::Option::Some(Self::$variant(value));
                        ::core::result::Result::Ok(())
                    })*
                    _ => $crate::prost::encoding::skip_field(wire_type, tag, from, cx),
                }
            }

            /// How many bytes [`Self::encode`] writes.
            pub fn encoded_len(&self) -> usize {
                match self {
                    $(Self::$variant(value) => $crate::field!(size [$($shape)+] *value, $tag),)*
                }
            }
        }
    };
}

/// One field of a [`message!`](crate::message), written, read or measured.
#[doc(hidden)]
#[macro_export]
macro_rules! field {
    (put [oneof $type:ty] $value:expr, $to:expr, $($tag:literal)+) => {
        if let ::core::option::Option::Some(value) = &$value {
            value.encode($to);
        }
    };
    (put [$($shape:tt)+] $value:expr, $to:expr, $tag:literal) => {
        <$crate::shape!($($shape)+) as $crate::personal::Shape>::put($tag, &$value, $to)
    };
    (take [oneof $type:ty] $value:expr, $from:expr, $tag:expr, $wire_type:expr, $cx:expr) => {
        <$type>::merge(&mut $value, $tag, $wire_type, $from, $cx)
    };
    (take [$($shape:tt)+] $value:expr, $from:expr, $tag:expr, $wire_type:expr, $cx:expr) => {
        <$crate::shape!($($shape)+) as $crate::personal::Shape>::take(
            $wire_type, &mut $value, $from, $cx,
        )
    };
    (size [oneof $type:ty] $value:expr, $($tag:literal)+) => {
        $value.as_ref().map_or(0, <$type>::encoded_len)
    };
    (size [$($shape:tt)+] $value:expr, $tag:literal) => {
        <$crate::shape!($($shape)+) as $crate::personal::Shape>::size($tag, &$value)
    };
}

/// The [`Shape`](crate::personal::Shape) that the words of a contract mean.
#[doc(hidden)]
#[macro_export]
macro_rules! shape {
    (plain $($shape:tt)+) => { $crate::personal::Plain<$crate::shape!($($shape)+)> };
    (optional $($shape:tt)+) => { $crate::personal::Optional<$crate::shape!($($shape)+)> };
    (personal $($shape:tt)+) => { $crate::personal::Concealed<$crate::shape!($($shape)+)> };
    (repeated $($shape:tt)+) => { $crate::personal::Repeated<$crate::shape!($($shape)+)> };
    (packed $($shape:tt)+) => { $crate::personal::Packed<$crate::shape!($($shape)+)> };
    (map [$($key:tt)+] [$($value:tt)+]) => {
        $crate::personal::Map<$crate::shape!($($key)+), $crate::shape!($($value)+)>
    };
    (message $type:ty) => { $crate::personal::Message<$type> };
    (string) => { $crate::personal::Text };
    (bytes) => { $crate::personal::Bytes };
    (bool) => { $crate::personal::Bool };
    (double) => { $crate::personal::Double };
    (float) => { $crate::personal::Float };
    (enumeration) => { $crate::personal::Int32 };
    (int32) => { $crate::personal::Int32 };
    (int64) => { $crate::personal::Int64 };
    (uint32) => { $crate::personal::Uint32 };
    (uint64) => { $crate::personal::Uint64 };
    (sint32) => { $crate::personal::Sint32 };
    (sint64) => { $crate::personal::Sint64 };
    (fixed32) => { $crate::personal::Fixed32 };
    (fixed64) => { $crate::personal::Fixed64 };
    (sfixed32) => { $crate::personal::Sfixed32 };
    (sfixed64) => { $crate::personal::Sfixed64 };
}
