//! `GET /api/v1/identity/account`

use cohort_access::{Listing, Permission, after, merge};
use identity_contract::rest;
use tenon::{Context, Result, store::Rx};

use crate::{ServiceContext, account::Account, store::account::list, view};

/// The accounts that the caller may see, oldest first.
///
/// `GET /api/v1/identity/account`
///
/// # Errors
/// `REQUEST_INVALID` for a cursor that no page gave; `SESSION_ENDED`.
pub async fn list_accounts(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListAccountsReq,
) -> Result<rest::ListAccountsResp> {
    let live = svc.live_caller(cx).await?;
    let after = after(req.cursor.as_deref())?;
    let limit = u32::try_from(req.limit).unwrap_or(1);
    let caller = live.caller.clone();
    let lists = svc.db.read(cx, async move |rx: &mut Rx| {
        let one_more = limit.saturating_add(1);
        let mut lists: Vec<Vec<Account>> = Vec::new();
        match caller.listing(Permission::AccountRead) {
            Listing::Everything => lists.push(list(rx, None, &after, one_more).await?),
            Listing::Parts { places, .. } => {
                for place in places {
                    lists.push(list(rx, Some(place), &after, one_more).await?);
                }
            }
        }
        Ok(lists)
    });
    let limit = usize::try_from(limit).unwrap_or(1);
    let (page, next_cursor) = merge(lists.await?, limit, |account| account.id.clone());
    let now = svc.now();
    let shown = |account: &Account| view::seen_by(&live.caller, account, now);
    Ok(rest::ListAccountsResp {
        items: page.iter().map(shown).collect(),
        next_cursor,
    })
}
