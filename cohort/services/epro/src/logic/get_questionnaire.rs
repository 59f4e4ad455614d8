//! `GET /api/v1/epro/questionnaire/:questionnaireId`

use epro_contract::rest;
use tenon::{Context, Json, OrInternal, Result};

use crate::{ServiceContext, errors::QUESTIONNAIRE_NOT_FOUND, places::is_id, store::questionnaire};

/// A questionnaire as it was published. The library is open to everybody who may read
/// questionnaires at all, which the door has asked.
///
/// # Errors
/// `QUESTIONNAIRE_NOT_FOUND`; the store's.
pub async fn get_questionnaire(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::QuestionnaireReq,
) -> Result<Json> {
    let id = req.questionnaire_id.to_ascii_lowercase();
    if !is_id(&id) {
        return Err(QUESTIONNAIRE_NOT_FOUND.error());
    }
    let text = questionnaire::text(&svc.db, cx, &id).await?;
    let text = text.ok_or_else(|| QUESTIONNAIRE_NOT_FOUND.error())?;
    serde_json::from_str(&text).or_internal("read a stored questionnaire")
}
