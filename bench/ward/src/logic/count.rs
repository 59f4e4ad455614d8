// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/open/count/:upTo`

use tenon::{
    Context, Result,
    rest::{Event, Events},
};
use ward_contract::rest;

use crate::ServiceContext;

/// As many events as are asked for.
///
/// # Errors
/// None.
pub async fn count(
    _cx: &Context,
    _svc: &ServiceContext,
    req: rest::CountReq,
) -> Result<Events<rest::CountResp>> {
    Ok(Events::produce(async move |out| {
        for number in 0..req.up_to {
            let event = Event::new(rest::CountResp { number });
            out.send(event.id(number)).await?;
        }
        Ok(())
    }))
}
