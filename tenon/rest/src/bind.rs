//! Binding: how a request becomes the type that an operation takes, with every violation at once.
//!
//! Generated code implements [`Bind`] for each request type; the door hands it the [`Parts`] of
//! the request, its body already read, decompressed and limited.

use std::borrow::Cow;

use http::HeaderMap;
use tenon_core::Result;

/// A type that an operation takes, read from path, query, headers and body together.
pub trait Bind: Sized + Send {
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
    /// of the path.
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
}

/// An operation that takes nothing.
impl Bind for () {
    fn bind(_: &Parts<'_>) -> Result<Self> {
        Ok(())
    }
}
