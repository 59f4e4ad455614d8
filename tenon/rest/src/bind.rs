//! Binding: how a request becomes the type that an operation takes, with every violation at once.
//!
//! Generated code implements [`Bind`] for each request type and [`Object`] for each type that
//! stands in a JSON body; the door hands [`Bind::bind`] the [`Parts`] of the request, its body
//! already read, decompressed and limited. One parse reads everything: a value that does not fit
//! is recorded with its place and swallowed, and reading goes on.
//!
//! ```
//! use tenon_rest::{Bind, Parts, bind};
//!
//! struct ListReq {
//!     trial_id: String,
//!     limit: i64,
//! }
//!
//! impl Bind for ListReq {
//!     const BODY: bool = false;
//!
//!     fn bind(parts: &Parts<'_>) -> tenon_core::Result<Self> {
//!         bind::read(parts, |input| {
//!             let trial_id = input.query("trialId").required();
//!             let limit = input.query("limit").range(1..=200).or(50);
//!             Some(Self { trial_id: trial_id?, limit: limit? })
//!         })
//!     }
//! }
//!
//! let headers = http::HeaderMap::new();
//! let parts = Parts { query: "limit=201", ..Parts::new(&headers, b"") };
//! let error = ListReq::bind(&parts).err().unwrap();
//! assert_eq!(error.all_violations().len(), 2);
//! ```

use std::borrow::Cow;

use http::HeaderMap;
use tenon_core::{Result, config::JSON_DEPTH_MAX};

pub(crate) mod depth;
mod field;
mod input;
mod json;
mod report;
mod text;
mod value;
mod wire;

pub use depth::is_deeper;
pub use field::{Field, Slot};
pub use input::{Input, path_parameters, read};
pub use json::{Fields, Json, Object};
pub use report::At;
pub use text::Text;
pub use value::Kind;
pub use wire::{
    Base64, is_zero, optional_personal_string, optional_string, personal_string, string,
};

/// What [`Object::read`] reads from; the name of serde's trait for generated code.
pub use serde::de::MapAccess;

/// How many violations are reported at most; further ones are only counted.
pub const MAX_VIOLATIONS: usize = 100;

/// A type that an operation takes, read from path, query, headers and body together.
pub trait Bind: Sized + Send {
    /// Whether the type reads the body. Where it does not, the door ignores a body.
    const BODY: bool = true;

    /// Whether the text of the body stays readable by [`crate::received`] for the whole call.
    const KEEPS_TEXT: bool = false;

    /// Reads the request as `Self`.
    ///
    /// # Errors
    /// `REQUEST_INVALID` with every violation, or `BODY_MALFORMED` when the body is not JSON.
    fn bind(parts: &Parts<'_>) -> Result<Self>;
}

/// What a [`Bind`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The parameters of the path by their names in the contract, percent-decoded, in the order
    /// of the path. [`path_parameters`] makes them.
    pub path: &'a [(&'a str, Cow<'a, str>)],
    /// The query as it was sent, without the question mark; empty when there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body: whole, decompressed, within the limit of the route; empty when there is none.
    /// The door has already refused a body that is not declared as JSON.
    pub body: &'a [u8],
    /// Whether a JSON field that the contract does not know is a violation.
    pub strict: bool,
    /// How many arrays and objects may stand within each other in the body.
    pub json_depth: usize,
}

impl<'a> Parts<'a> {
    /// Headers and body alone, with the limits that a door has by default.
    pub fn new(headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self {
            path: &[],
            query: "",
            headers,
            body,
            strict: false,
            json_depth: JSON_DEPTH_MAX,
        }
    }
}

/// An operation that takes nothing.
impl Bind for () {
    const BODY: bool = false;

    fn bind(_: &Parts<'_>) -> Result<Self> {
        Ok(())
    }
}

/// An operation that takes a list as its body.
impl<T: Json + Send> Bind for Vec<T> {
    fn bind(parts: &Parts<'_>) -> Result<Self> {
        read(parts, |input| input.body())
    }
}

/// An operation that takes a map as its body.
impl<K: Text + Ord + Send, T: Json + Send> Bind for std::collections::BTreeMap<K, T> {
    fn bind(parts: &Parts<'_>) -> Result<Self> {
        read(parts, |input| input.body())
    }
}

/// An operation that takes any JSON value as its body.
impl Bind for serde_json::Value {
    const KEEPS_TEXT: bool = true;

    fn bind(parts: &Parts<'_>) -> Result<Self> {
        read(parts, |input| input.body())
    }
}
