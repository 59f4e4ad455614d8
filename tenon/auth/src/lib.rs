//! Keys, the token verifier and its cache, the signer, passwords, and the access rules of routes
//! and methods.
//!
//! A token is trusted only by a key that this process was given, under the one algorithm that is
//! bound to that key. Nothing in a token chooses a key file, a network address or an algorithm.

pub mod access;
mod claims;
mod json;
mod jwks;
mod keys;
pub mod password;
mod secret;
mod signer;
mod token;
mod verifier;

pub use access::{AccessRules, NoRules, check};
pub use secret::same_secret;
pub use signer::{KeyError, Signer};
pub use verifier::Verifier;
