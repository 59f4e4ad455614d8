//! `GET /api/v1/trial/:trialId/site`

use cohort_access::{Caller, Listing, Permission, after, merge};
use tenon::{
    Context, Result,
    store::{Rx, args},
};
use trial_contract::rest;

use crate::{
    ServiceContext, seen,
    store::{self, SITE},
    study::Site,
};

/// The sites of a study that the caller may see.
pub async fn list_sites(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListSitesReq,
) -> Result<rest::ListSitesResp> {
    let after = after(req.cursor.as_deref())?;
    let limit = usize::try_from(req.limit).unwrap_or(1);
    let more = req.limit.saturating_add(1);
    let study = seen::study(cx, svc, Permission::StudyRead, &req.trial_id).await?;
    let caller = Caller::of(cx)?;
    let only = granted(&caller.listing(Permission::SiteRead), &study.id);
    let read = async move |rx: &mut Rx| match &only {
        None => store::sites(rx, &study.id, &after, more).await,
        Some(sites) => {
            let mut found: Vec<Site> = Vec::new();
            for site in sites.iter().filter(|site| **site > after) {
                found.extend(rx.optional::<Site>(SITE, args![study.id, site]).await?);
            }
            Ok(found)
        }
    };
    let read = svc.db.read(cx, read).await?;
    let (page, next_cursor) = merge([read], limit, |site| site.id.clone());
    Ok(rest::ListSitesResp {
        items: page.into_iter().map(rest::Site::from).collect(),
        next_cursor,
    })
}

/// The sites of the study that the listing names; `None` when it covers all of them.
fn granted(listing: &Listing<'_>, study: &str) -> Option<Vec<String>> {
    let Listing::Parts { places, .. } = listing else {
        return None;
    };
    places
        .iter()
        .filter(|(place, _)| *place == study)
        .map(|(_, site)| site.map(str::to_owned))
        .collect()
}
