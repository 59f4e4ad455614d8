//! `GET /api/v1/epro/questionnaire`

use epro_contract::rest;
use tenon::{Context, Result};

use crate::{ServiceContext, store::questionnaire, view};

/// The published questionnaires, oldest first.
///
/// # Errors
/// `REQUEST_INVALID` for a cursor of another list; the store's.
pub async fn list_questionnaires(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListQuestionnairesReq,
) -> Result<rest::ListQuestionnairesResp> {
    let after = cohort_access::after(req.cursor.as_deref())?;
    // One more than the page says whether there is another.
    let rows = questionnaire::page(&svc.db, cx, &after, req.limit + 1).await?;
    let limit = usize::try_from(req.limit).unwrap_or_default();
    let (rows, next_cursor) = cohort_access::merge([rows], limit, |row| row.id.clone());
    Ok(rest::ListQuestionnairesResp {
        items: rows.into_iter().map(view::questionnaire).collect(),
        next_cursor,
    })
}
