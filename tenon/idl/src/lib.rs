//! Contract text (`.api` and `.proto`) to a checked model with spans; pure.
//!
//! [`model`] is what the generator reads for a REST contract. Nothing here touches a file.

pub mod diagnostic;
pub mod model;

pub use diagnostic::{Diagnostic, LineMap, Span};
