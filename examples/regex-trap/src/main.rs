//! The regex trap: national identity numbers checked with a pattern that is compiled for each
//! call, and beside it the same pattern compiled once. A profile shows which is which:
//!
//! ```text
//! go tool pprof http://127.0.0.1:8889/debug/pprof/profile?seconds=30
//! ```
//!
//! `cargo run --release -p regex-trap -- [LISTEN [ADMIN]]`, default 127.0.0.1:8080 and 127.0.0.1:8889.

use std::{process::ExitCode, sync::LazyLock};

use regex::Regex;
use serde_json::json;
use tenon::{App, Context, Json, OrInternal, Request, Result};

/// Region, date of birth, sequence and check character of a Chinese resident identity number.
/// Whether the check character is right is another question.
const IDENTITY_NUMBER: &str =
    r"^[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]$";

static COMPILED: LazyLock<std::result::Result<Regex, regex::Error>> =
    LazyLock::new(|| Regex::new(IDENTITY_NUMBER));

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let admin = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8889".to_owned());
    let app = App::new("regex-trap").admin(admin);
    let v1 = app.group("/api/v1");
    v1.get("/trap/:number", trap);
    v1.get("/fixed/:number", fixed);
    app.run(&listen)
}

async fn trap(_cx: Context, req: Request) -> Result<Json> {
    let valid = validate_patient_data(req.param("number")?)?;
    Ok(json!({ "valid": valid }))
}

async fn fixed(_cx: Context, req: Request) -> Result<Json> {
    let valid = validate_patient_data_fixed(req.param("number")?)?;
    Ok(json!({ "valid": valid }))
}

/// The trap: compiling the pattern costs a thousand times what matching it does.
#[inline(never)]
fn validate_patient_data(identity_number: &str) -> Result<bool> {
    let pattern = Regex::new(IDENTITY_NUMBER).or_internal("compile the pattern")?;
    Ok(pattern.is_match(identity_number))
}

#[inline(never)]
fn validate_patient_data_fixed(identity_number: &str) -> Result<bool> {
    let pattern = COMPILED.as_ref().or_internal("compile the pattern")?;
    Ok(pattern.is_match(identity_number))
}
