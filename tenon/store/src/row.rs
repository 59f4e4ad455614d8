//! Rows and what they are read as: [`FromRow`] for whole rows, [`FromValue`] for cells.

use std::fmt;

use jiff::Timestamp;
use tenon_core::{Error, Personal, Result};
use uuid::Uuid;

use crate::Value;

/// A type that a row is read as.
///
/// Tuples of up to sixteen cells and single cells are rows already. A struct says how:
///
/// ```
/// # use tenon_core::Result;
/// # use tenon_store::{FromRow, Row};
/// struct Visit {
///     id: i64,
///     name: Option<String>,
/// }
///
/// impl FromRow for Visit {
///     fn from_row(row: &Row<'_>) -> Result<Self> {
///         Ok(Self { id: row.get(0)?, name: row.get(1)? })
///     }
/// }
/// ```
pub trait FromRow: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// A cell is missing or of another kind.
    fn from_row(row: &Row<'_>) -> Result<Self>;
}

/// A type that a cell is read as.
pub trait FromValue: Sized {
    /// Reads the cell, or says what it expected instead.
    ///
    /// # Errors
    /// The cell is of another kind or out of range: the text says what was expected.
    fn from_value(value: Value<'_>) -> Result<Self, &'static str>;
}

/// One row of a result, valid while it is looked at.
pub struct Row<'a> {
    inner: &'a rusqlite::Row<'a>,
    sql: &'static str,
}

impl<'a> Row<'a> {
    pub(crate) fn new(inner: &'a rusqlite::Row<'a>, sql: &'static str) -> Self {
        Self { inner, sql }
    }

    /// The cell in a column, counted from 0, read as `T`.
    ///
    /// # Errors
    /// `INTERNAL` when there is no such column or the cell does not read as `T`.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T> {
        let refused = |expected: &str, found: &str| {
            let mismatch = Mismatch {
                sql: self.sql,
                column,
                problem: format!("expected {expected}, found {found}"),
            };
            Error::internal("read a row", mismatch)
        };
        let value = self
            .value(column)
            .map_err(|found| refused("a value", found))?;
        T::from_value(value).map_err(|expected| refused(expected, value.kind()))
    }

    fn value(&self, column: usize) -> Result<Value<'_>, &'static str> {
        use rusqlite::types::ValueRef;
        match self.inner.get_ref(column).map_err(|_| "no such column")? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Int(number)),
            ValueRef::Real(number) => Ok(Value::Real(number)),
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map(Value::Text)
                .map_err(|_| "text that is not UTF-8"),
            ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes)),
        }
    }
}

/// A cell that does not read as what the logic expects.
#[derive(Debug)]
struct Mismatch {
    sql: &'static str,
    column: usize,
    problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sql,
            column,
            problem,
        } = self;
        write!(f, "column {column} of `{sql}`: {problem}")
    }
}

impl std::error::Error for Mismatch {}

impl<T: FromValue> FromRow for T {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        row.get(0)
    }
}

macro_rules! tuples {
    ($($kind:ident $column:tt),*) => {
        impl<$($kind: FromValue),*> FromRow for ($($kind,)*) {
            fn from_row(row: &Row<'_>) -> Result<Self> {
                Ok(($(row.get::<$kind>($column)?,)*))
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl FromValue for $kind {
            fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
                const EXPECTED: &str = concat!("an integer that fits ", stringify!($kind));
                match value {
                    Value::Int(number) => Self::try_from(number).map_err(|_| EXPECTED),
                    _ => Err(EXPECTED),
                }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, u8, u16, u32);

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        match value {
            Value::Bool(truth) => Ok(truth),
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            _ => Err("a truth value"),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        match value {
            Value::Real(number) => Ok(number),
            _ => Err("a floating-point number"),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        match value {
            Value::Text(text) => Ok(text.to_owned()),
            _ => Err("text"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.to_owned()),
            _ => Err("bytes"),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        const EXPECTED: &str = "bytes of a fixed length";
        match value {
            Value::Bytes(bytes) => bytes.try_into().map_err(|_| EXPECTED),
            _ => Err(EXPECTED),
        }
    }
}

impl FromValue for Uuid {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        <[u8; 16]>::from_value(value)
            .map(Self::from_bytes)
            .map_err(|_| "the 16 bytes of a UUID")
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        const EXPECTED: &str = "microseconds since 1970";
        match value {
            Value::Int(micros) => Self::from_microsecond(micros).map_err(|_| EXPECTED),
            _ => Err(EXPECTED),
        }
    }
}

/// A refusal names the kind that was expected, never the value.
impl<T: FromValue> FromValue for Personal<T> {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        T::from_value(value).map(Self::from)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, &'static str> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}
