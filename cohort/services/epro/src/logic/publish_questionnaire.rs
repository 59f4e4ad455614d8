//! `POST /api/v1/epro/questionnaire`

use clinical::{canonical, instrument::Questionnaire};
use cohort_access::{Act, Caller, Permission, Scope};
use epro_contract::rest;
use serde_json::json;
use tenon::{
    Context, Error, Json, Result,
    store::{Tx, audit},
};
use uuid::Uuid;

use crate::{
    ServiceContext,
    errors::{QUESTIONNAIRE_NOT_FOUND, QUESTIONNAIRE_VERSION_EXISTS, violations},
    logic::submit_response::received_text,
    store::questionnaire::{self, NewQuestionnaire, Summary},
    trail::hex,
    view,
};

/// Publishes a version of a questionnaire, once: the same content again gets the first summary
/// with status 200.
///
/// # Errors
/// `REQUEST_INVALID` with every problem of the questionnaire; `QUESTIONNAIRE_VERSION_EXISTS`;
/// `PERMISSION_DENIED` for those who may not publish for all studies; the store's.
pub async fn publish_questionnaire(
    cx: &Context,
    svc: &ServiceContext,
    req: Json,
) -> Result<rest::QuestionnaireSummary> {
    let caller = Caller::of(cx)?;
    // The library belongs to no study: a grant for one does not reach it.
    let scope = Scope::default();
    caller.require(
        Permission::QuestionnaireWrite,
        scope,
        &QUESTIONNAIRE_NOT_FOUND,
    )?;
    let parsed =
        Questionnaire::parse(&req).map_err(|problems| Error::invalid(violations(problems)))?;
    let new = NewQuestionnaire {
        id: Uuid::now_v7().to_string(),
        url: parsed.url().to_owned(),
        version: parsed.version().to_owned(),
        title: title(&parsed).to_owned(),
        digest: canonical::digest(&req),
        resource: received_text(cx, &req),
        published_at: svc.clock.now(),
        published_by: caller.account().to_owned(),
    };
    let record = record(&caller, &new);
    let outcome = svc
        .db
        .write(cx, async move |tx| keep(tx, &new, &record).await)
        .await?;
    match outcome {
        Outcome::Kept(summary) => Ok(view::questionnaire(summary)),
        Outcome::Same(summary) => {
            tenon::rest::reply(cx).status(200);
            Ok(view::questionnaire(summary))
        }
        Outcome::Other => Err(QUESTIONNAIRE_VERSION_EXISTS.error()),
    }
}

enum Outcome {
    Kept(Summary),
    Same(Summary),
    Other,
}

async fn keep(tx: &mut Tx, new: &NewQuestionnaire, record: &audit::Record) -> Result<Outcome> {
    let inserted = questionnaire::insert(tx, new).await?;
    let stored = questionnaire::by_version(tx, &new.url, &new.version).await?;
    let Some(stored) = stored else {
        let problem = "its version is taken by no row";
        return Err(Error::internal("store a questionnaire", problem));
    };
    if inserted {
        audit::append(tx, record).await?;
        return Ok(Outcome::Kept(stored));
    }
    Ok(match stored.digest == new.digest {
        true => Outcome::Same(stored),
        false => Outcome::Other,
    })
}

fn record(caller: &Caller, new: &NewQuestionnaire) -> audit::Record {
    let mut record = caller.record(Act {
        stream: audit::SERVICE,
        action: "questionnaire.publish",
        entity_id: &new.id,
        permission: Permission::QuestionnaireWrite,
        scope: Scope::default(),
        time: new.published_at,
    });
    record.new = Some(json!({
        "url": new.url,
        "version": new.version,
        "digest": hex(&new.digest),
    }));
    record
}

/// What people call it.
fn title(questionnaire: &Questionnaire) -> &str {
    questionnaire
        .title()
        .or(questionnaire.name())
        .unwrap_or(questionnaire.url())
}
