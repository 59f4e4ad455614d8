// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/item/:itemId/progress`

use streams_contract::rest;
use tenon::{Context, Result, catalogue, rest::Events};

use crate::ServiceContext;

/// The progress of an item, an event for each change
///
/// `GET /api/v1/item/:itemId/progress`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn watch_item(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::Watch,
) -> Result<Events<rest::Progress>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
