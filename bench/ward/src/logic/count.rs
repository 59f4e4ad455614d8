// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/open/count/:upTo`

use tenon::{
    Context, Result,
    rest::{Event, Events, last_event_id},
};
use ward_contract::rest;

use crate::ServiceContext;

/// As many events as are asked for; a client that comes back gets those that it misses.
///
/// # Errors
/// None.
pub async fn count(
    cx: &Context,
    _svc: &ServiceContext,
    req: rest::CountReq,
) -> Result<Events<rest::CountResp>> {
    let last: Option<i64> = last_event_id(cx).and_then(|id| id.parse().ok());
    let from = last.map_or(0, |last| last.saturating_add(1).max(0));
    Ok(Events::produce(async move |out| {
        for number in from..req.up_to {
            let event = Event::new(rest::CountResp { number });
            out.send(event.id(number)).await?;
        }
        Ok(())
    }))
}
