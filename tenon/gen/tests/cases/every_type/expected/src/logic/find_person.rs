// Scaffolded by tenon once; yours to edit.
//! `POST /person/:number`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /person/:number`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn find_person(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::FindPerson,
) -> Result<rest::Person> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
