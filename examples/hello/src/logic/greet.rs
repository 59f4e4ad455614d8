// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/hello/:name`

use hello_contract::rest;
use tenon::{Context, Result};

use crate::ServiceContext;

/// Greets somebody, as often as asked.
///
/// # Errors
/// None of its own.
pub async fn greet(
    _cx: &Context,
    _svc: &ServiceContext,
    req: rest::GreetReq,
) -> Result<rest::GreetResp> {
    let once = format!("hello, {}", req.name);
    let times = usize::try_from(req.times).unwrap_or(1);
    let message = vec![once; times].join("; ");
    Ok(rest::GreetResp { message })
}
