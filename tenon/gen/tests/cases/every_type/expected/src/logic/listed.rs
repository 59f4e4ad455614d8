// Scaffolded by tenon once; yours to edit.
//! `POST /list`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /list`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn listed(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: Vec<rest::Leaf>,
) -> Result<Vec<rest::Leaf>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
