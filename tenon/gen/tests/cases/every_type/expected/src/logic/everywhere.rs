// Scaffolded by tenon once; yours to edit.
//! `POST /everywhere/:id/on/:day-of`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /everywhere/:id/on/:day-of`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn everywhere(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::FromEverywhere,
) -> Result<rest::Leaf> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
