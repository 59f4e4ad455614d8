//! From a checked response to all that is written of it: scores, alerts, audit record and
//! receipt. Everything is made before the write, because no other runs while that does.

use clinical::{
    instrument::{CheckedResponse, Questionnaire},
    scoring::{self, Scores},
};
use cohort_access::{Act, Caller, Permission, Role, Scope};
use epro_contract::rest;
use patient_contract::rpc::GetStandingResp;
use serde_json::json;
use tenon::{Timestamp, store::audit::Record};
use uuid::Uuid;

use crate::{device::Device, receipt, store::submission::Submission, trail::hex};

/// The originator of answers that the subject gave itself.
const PATIENT: &str = "patient";
/// The originator of answers that the site entered for the subject.
const SITE: &str = "site";

/// Who gives the answers: the subject itself, or the site for it.
pub(crate) fn originator(caller: &Caller, scope: Scope<'_>) -> &'static str {
    match caller.role(Permission::ResponseWrite, scope) {
        Some(Role::Patient) => PATIENT,
        _ => SITE,
    }
}

/// What is known of a submission before its scores.
pub(crate) struct Draft<'q> {
    pub(crate) originator: &'static str,
    pub(crate) questionnaire: &'q Questionnaire,
    pub(crate) checked: CheckedResponse,
    pub(crate) device: Device,
    pub(crate) standing: GetStandingResp,
    pub(crate) digest: [u8; 32],
    pub(crate) resource: String,
}

impl Draft<'_> {
    /// Scores the response and makes all that is written of it.
    pub(crate) fn finish(self, caller: Caller, received_at: Timestamp) -> Submission {
        let scores = scoring::score(self.questionnaire, &self.checked);
        let receipt_no = receipt::number(received_at);
        let record = self.record(&caller, &receipt_no, &scores, received_at);
        let header = self.checked.header().clone();
        let alerts = scores.alerts.into_iter();
        Submission {
            id: header.id,
            receipt_no,
            received_at,
            study_id: self.standing.trial_id,
            site_id: self.standing.site_id,
            subject_id: header.subject_id,
            questionnaire_url: header.url,
            questionnaire_version: header.version,
            language: header.language,
            originator: self.originator,
            authored: header.authored,
            device: self.device,
            not_collected: self.checked.not_collected().to_vec(),
            digest: self.digest,
            resource: self.resource,
            scores: scores.scores,
            discrepancies: scores.discrepancies,
            alerts: alerts
                .map(|alert| (Uuid::now_v7().to_string(), alert))
                .collect(),
            caller,
            record,
        }
    }

    /// The digest binds the answers to the chain without repeating them.
    fn record(
        &self,
        caller: &Caller,
        receipt_no: &str,
        scores: &Scores,
        received_at: Timestamp,
    ) -> Record {
        let header = self.checked.header();
        let mut record = caller.record(Act {
            stream: &self.standing.trial_id,
            action: "response.submit",
            entity_id: &header.id,
            permission: Permission::ResponseWrite,
            scope: Scope {
                study: Some(&self.standing.trial_id),
                site: Some(&self.standing.site_id),
                subject: Some(&header.subject_id),
            },
            time: received_at,
        });
        record.on_behalf_of = (self.originator == SITE).then(|| header.subject_id.clone());
        record.new = Some(json!({
            "receiptNo": receipt_no,
            "questionnaire": self.questionnaire.canonical(),
            "digest": hex(&self.digest),
            "originator": self.originator,
            "notCollected": self.checked.not_collected(),
            "scores": scores.scores,
            "discrepancies": scores.discrepancies,
            "alerts": scores.alerts,
        }));
        record
    }
}

/// The receipt of a response that is about to be stored.
pub(crate) fn receipt(new: &Submission) -> rest::SubmitResponseResp {
    let scores = new.scores.iter().map(|score| rest::Score {
        name: score.name.clone(),
        value: score.value,
        band: score.band.map(|band| band.as_str().to_owned()),
        algorithm: score.algorithm.clone(),
        missing: score.missing.clone(),
    });
    let discrepancies = new.discrepancies.iter().map(|found| rest::Discrepancy {
        link_id: found.link_id.clone(),
        claimed: json!(found.claimed),
        computed: json!(found.computed),
    });
    rest::SubmitResponseResp {
        id: new.id.clone(),
        receipt_no: new.receipt_no.clone(),
        received_at: new.received_at,
        scores: scores.collect(),
        discrepancies: discrepancies.collect(),
    }
}
