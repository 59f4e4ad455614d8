// Scaffolded by tenon once; yours to edit.
//! `POST /map`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /map`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn mapped(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: std::collections::BTreeMap<String, rest::Leaf>,
) -> Result<std::collections::BTreeMap<String, i64>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
