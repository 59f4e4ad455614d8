//! REST contracts: the `.api` language of go-zero, read strictly where goctl is silent.
//!
//! [`load`] reads a file with its imports and gives the checked model; [`parse`] gives the
//! tree of one text.
//!
//! # Where this differs from goctl 1.10
//!
//! Accepted here, refused there:
//! - `type X struct {`, also for nested structs; a nested struct may stand in a list, an array
//!   or a map, and may be empty. All nested structs are lifted to named types.
//! - `time.Time` (an RFC 3339 instant) and `any` as field types and inside containers.
//! - Requests and responses of any list, map, `any` or `interface{}`.
//! - Fields called like a Go keyword (`type`, `range`), one-line `type A { Base }`.
//! - Paths and values: `/a-1`, `/.well-known`, `prefix: /a-b-c`, `prefix: /v1.0`,
//!   `prefix: /v1/:tenant`, `group: a-b/c`, dotted values (`permission: subject.read`).
//! - Service names of several parts (`user-center-api`), `@doc("text")`.
//!
//! Refused here, accepted there, because each is a mistake that goctl finds late or never:
//! - `syntax` other than `"v1"`; a comment that cuts a path off (`/a//b`).
//! - Type names of built-in types; complex numbers and `uintptr`; types that contain
//!   themselves without pointer, `optional`, list or map in between.
//! - Two fields of one struct with the same wire name at the same depth, or with the same
//!   name; two binding tags on one field (`json:"-"` beside another is fine).
//! - Unknown tag options; `default`, `options` and `range` that do not fit the type or each
//!   other; tags that are not `key:"value"`.
//! - Path parameters without a field and path fields without a parameter; path fields that
//!   are optional or no scalar; path, query or header fields in responses and nested types.
//! - Two routes of one method whose paths differ only in parameter names; two handlers of
//!   one group that differ only in case or underscores; methods `connect` and `trace`.
//! - Request bodies of a primitive type.
//! - Keys of `@server` that look like a misspelt one of those that guard a route, such as
//!   `JWT` or `permision`. Other unknown keys are kept in the model.
//!
//! A field without a tag has its name as written on the wire, as in Go.

mod check;
mod comments;
pub mod lexer;
mod load;
mod nearest;
mod parser;
mod tag;
pub mod tree;

use crate::diagnostic::Diagnostic;
use crate::model::Api;
use crate::source::SourceLoader;
use tree::Tree;

/// The tree of one text and what is wrong with its syntax, in the order of the text.
///
/// The tree is complete for any text: its tokens, joined, are the text. `file` is the name
/// that diagnostics carry. Imports are not followed and names not resolved; [`load`] does so.
#[must_use]
pub fn parse(text: &str, file: &str) -> (Tree, Vec<Diagnostic>) {
    parser::parse(text, file)
}

/// Reads the contract whose root file is `root`, with all imports, and checks it.
///
/// # Errors
/// All findings, by file and place. Names are resolved only once every file has been read and
/// parsed without error.
pub fn load(loader: &dyn SourceLoader, root: &str) -> Result<Api, Vec<Diagnostic>> {
    let sources = load::load(loader, root)?;
    check::check(sources)
}
