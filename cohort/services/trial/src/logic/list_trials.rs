//! `GET /api/v1/trial`

use std::collections::BTreeSet;

use cohort_access::{Caller, Listing, Permission, after, merge};
use tenon::{
    Context, Result,
    store::{Rx, args},
};
use trial_contract::rest;

use crate::{
    ServiceContext,
    store::{self, STUDY},
    study::Study,
};

/// The studies that the caller may see, oldest first.
pub async fn list_trials(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListTrialsReq,
) -> Result<rest::ListTrialsResp> {
    let after = after(req.cursor.as_deref())?;
    let limit = usize::try_from(req.limit).unwrap_or(1);
    let more = req.limit.saturating_add(1);
    let caller = Caller::of(cx)?;
    let read = match caller.listing(Permission::StudyRead) {
        Listing::Everything => {
            let read = async move |rx: &mut Rx| store::studies(rx, &after, more).await;
            svc.db.read(cx, read).await?
        }
        Listing::Parts { places, .. } => {
            let granted: BTreeSet<String> = places
                .into_iter()
                .map(|(study, _)| study.to_owned())
                .filter(|study| *study > after)
                .collect();
            let read = async move |rx: &mut Rx| those(rx, &granted, limit + 1).await;
            svc.db.read(cx, read).await?
        }
    };
    let (page, next_cursor) = merge([read], limit, |study| study.id.clone());
    Ok(rest::ListTrialsResp {
        items: page.into_iter().map(rest::Trial::from).collect(),
        next_cursor,
    })
}

/// The first of these studies, each by its key.
async fn those(rx: &mut Rx, ids: &BTreeSet<String>, most: usize) -> Result<Vec<Study>> {
    let mut found = Vec::new();
    for id in ids {
        if found.len() == most {
            break;
        }
        found.extend(rx.optional::<Study>(STUDY, args![id]).await?);
    }
    Ok(found)
}
