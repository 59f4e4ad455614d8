//! The token verifier through its public door: each trap of JSON Web Tokens is a test.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod cache;
mod claims;
mod header;
mod hostile;
mod keys;
mod mint;
mod security_log;
