//! `GET /api/v1/epro/alert`

use cohort_access::{Caller, Permission};
use epro_contract::rest;
use tenon::{Context, Result};

use crate::{
    ServiceContext,
    places::places,
    store::alert::{self, ACKNOWLEDGED, OPEN},
    view,
};

/// The alerts that the caller may see, oldest first; of one study or in one state where asked.
///
/// # Errors
/// `REQUEST_INVALID` for a cursor of another list; the store's.
pub async fn list_alerts(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListAlertsReq,
) -> Result<rest::ListAlertsResp> {
    let caller = Caller::of(cx)?;
    let listing = caller.listing(Permission::AlertRead);
    let places = places(&listing, req.trial_id.as_deref(), None);
    let after = cohort_access::after(req.cursor.as_deref())?;
    let limit = req.limit;
    let states = match req.status.as_deref() {
        Some(OPEN) => &[OPEN][..],
        Some(ACKNOWLEDGED) => &[ACKNOWLEDGED],
        // The contract allows no other.
        _ => &[OPEN, ACKNOWLEDGED],
    };
    let lists = svc
        .db
        .read(cx, async move |rx| {
            let mut lists = Vec::with_capacity(places.len() * states.len());
            for place in &places {
                for state in states {
                    // One more than the page says whether there is another.
                    lists.push(alert::page(rx, place, state, &after, limit + 1).await?);
                }
            }
            Ok(lists)
        })
        .await?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let (rows, next_cursor) = cohort_access::merge(lists, limit, |row| row.id.clone());
    Ok(rest::ListAlertsResp {
        items: rows.into_iter().map(view::alert).collect(),
        next_cursor,
    })
}
