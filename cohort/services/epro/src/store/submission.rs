//! The one write of a submission: response, scores, discrepancies, alerts and audit record.

use clinical::scoring::{Alert, Band, Discrepancy, MissingRule, Score};
use cohort_access::Caller;
use tenon::{
    Error, OrInternal, Result, Timestamp,
    store::{Tx, args, audit},
};

use super::response::{self, Computed, First};
use crate::{device::Device, trail};

/// A checked and scored response, ready to be kept. Made before the write: while that runs, no
/// other does.
pub(crate) struct Submission {
    pub(crate) id: String,
    pub(crate) receipt_no: String,
    pub(crate) received_at: Timestamp,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_id: String,
    pub(crate) questionnaire_url: String,
    pub(crate) questionnaire_version: String,
    pub(crate) language: Option<String>,
    pub(crate) originator: &'static str,
    pub(crate) authored: Option<String>,
    pub(crate) device: Device,
    pub(crate) not_collected: Vec<String>,
    pub(crate) digest: [u8; 32],
    pub(crate) resource: String,
    pub(crate) scores: Vec<Score>,
    pub(crate) discrepancies: Vec<Discrepancy>,
    /// Each alert with the id that it gets.
    pub(crate) alerts: Vec<(String, Alert)>,
    pub(crate) caller: Caller,
    pub(crate) record: audit::Record,
}

/// What became of a submission.
pub(crate) enum Outcome {
    /// It is stored.
    Kept,
    /// The same content was stored before: this is its receipt.
    Replayed(Box<First>, Computed),
    /// Another content was stored under the id before.
    Conflict,
}

/// Keeps a submission, or finds the one that was kept under its id. Two that come together are
/// decided here: the second sees the first.
pub(crate) async fn keep(tx: &mut Tx, new: &Submission) -> Result<Outcome> {
    if !insert_response(tx, new).await? {
        return settle(tx, new).await;
    }
    for (position, score) in (0_i64..).zip(&new.scores) {
        insert_score(tx, new, position, score).await?;
    }
    for (position, discrepancy) in (0_i64..).zip(&new.discrepancies) {
        insert_discrepancy(tx, new, position, discrepancy).await?;
    }
    for (id, alert) in &new.alerts {
        insert_alert(tx, new, id, alert).await?;
    }
    audit::append(tx, &new.record).await?;
    Ok(Outcome::Kept)
}

async fn settle(tx: &mut Tx, new: &Submission) -> Result<Outcome> {
    let Some(first) = response::first(tx, &new.id).await? else {
        let problem = "its id is taken by no row";
        return Err(Error::internal("store a response", problem));
    };
    if first.digest == new.digest {
        let computed = response::computed(tx, &new.id).await?;
        return Ok(Outcome::Replayed(Box::new(first), computed));
    }
    let record = trail::conflict(&new.caller, &first, &new.digest, new.received_at);
    audit::append(tx, &record).await?;
    Ok(Outcome::Conflict)
}

async fn insert_response(tx: &mut Tx, new: &Submission) -> Result<bool> {
    const SQL: &str = "INSERT INTO response
        (id, receipt_no, received_at, study_id, site_id, subject_id, task_id,
        questionnaire_url, questionnaire_version, language, originator, on_behalf_of, submitted_by,
        device_started, device_completed, time_zone, app_version, paradata,
        not_collected, digest, resource)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        $19, $20, $21)
        ON CONFLICT (id) DO NOTHING";
    let not_collected = list(&new.not_collected)?;
    let values = args![
        new.id,
        new.receipt_no,
        new.received_at,
        new.study_id,
        new.site_id,
        new.subject_id,
        new.device.task_id,
        new.questionnaire_url,
        new.questionnaire_version,
        new.language,
        new.originator,
        new.record.on_behalf_of,
        new.record.actor,
        new.device.started,
        new.authored,
        new.device.time_zone,
        new.device.app_version,
        new.device.paradata,
        not_collected,
        new.digest,
        new.resource,
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}

async fn insert_score(tx: &mut Tx, new: &Submission, position: i64, score: &Score) -> Result<()> {
    const SQL: &str = "INSERT INTO score
        (response_id, position, algorithm, name, inputs, missing_rule, missing, value, band)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let inputs = format!("{}|{}", new.questionnaire_url, new.questionnaire_version);
    let rule = match score.missing_rule {
        MissingRule::NoTotalIfAnyMissing => "no-total-if-any-missing",
    };
    let missing = list(&score.missing)?;
    let band = score.band.map(Band::as_str);
    let values = args![
        new.id,
        position,
        score.algorithm,
        score.name,
        inputs,
        rule,
        missing,
        score.value,
        band,
    ];
    tx.execute(SQL, values).await.map(drop)
}

async fn insert_discrepancy(
    tx: &mut Tx,
    new: &Submission,
    position: i64,
    discrepancy: &Discrepancy,
) -> Result<()> {
    const SQL: &str = "INSERT INTO discrepancy (response_id, position, link_id, claimed, computed)
        VALUES ($1, $2, $3, $4, $5)";
    let Discrepancy {
        link_id,
        claimed,
        computed,
    } = discrepancy;
    let values = args![new.id, position, link_id, claimed, computed];
    tx.execute(SQL, values).await.map(drop)
}

async fn insert_alert(tx: &mut Tx, new: &Submission, id: &str, alert: &Alert) -> Result<()> {
    const SQL: &str = "INSERT INTO alert
        (id, study_id, site_id, subject_id, response_id, rule, algorithm, link_id, value, status,
        raised_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10)";
    let values = args![
        id,
        new.study_id,
        new.site_id,
        new.subject_id,
        new.id,
        alert.kind,
        alert.algorithm,
        alert.link_id,
        alert.value,
        new.received_at,
    ];
    tx.execute(SQL, values).await.map(drop)
}

fn list(link_ids: &[String]) -> Result<String> {
    serde_json::to_string(link_ids).or_internal("write a list of link ids")
}
