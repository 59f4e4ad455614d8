//! From what is stored to what the contracts show.

use epro_contract::{rest, rpc};
use serde_json::json;
use tenon::{OrInternal, Result};

use crate::store::{
    alert::Alert,
    questionnaire::Summary,
    response::{Computed, Discrepancy, First, Score, Stored},
};

/// The first receipt of a response.
pub(crate) fn receipt(first: First, computed: Computed) -> rest::SubmitResponseResp {
    rest::SubmitResponseResp {
        id: first.id,
        receipt_no: first.receipt_no,
        received_at: first.received_at,
        scores: computed.scores.into_iter().map(score).collect(),
        discrepancies: computed
            .discrepancies
            .into_iter()
            .map(discrepancy)
            .collect(),
    }
}

/// A response with what was computed from it.
pub(crate) fn response(stored: Stored, computed: Computed) -> Result<rest::Response> {
    let resource = serde_json::from_str(&stored.resource).or_internal("read a stored response")?;
    Ok(rest::Response {
        id: stored.id,
        subject_id: stored.subject_id,
        trial_id: stored.study_id,
        site_id: stored.site_id,
        questionnaire: format!(
            "{}|{}",
            stored.questionnaire_url, stored.questionnaire_version
        ),
        receipt_no: stored.receipt_no,
        received_at: stored.received_at,
        originator: stored.originator,
        scores: computed.scores.into_iter().map(score).collect(),
        discrepancies: computed
            .discrepancies
            .into_iter()
            .map(discrepancy)
            .collect(),
        not_collected: stored.not_collected,
        resource,
    })
}

/// A scored response as other services see it.
pub(crate) fn response_info(stored: Stored, scores: Vec<Score>) -> rpc::ResponseInfo {
    let scores = scores.into_iter().map(|score| rpc::ScoreInfo {
        name: score.name,
        value: score.value,
        band: score.band.unwrap_or_default(),
        algorithm: score.algorithm,
    });
    rpc::ResponseInfo {
        id: stored.id,
        questionnaire: format!(
            "{}|{}",
            stored.questionnaire_url, stored.questionnaire_version
        ),
        received_at: stored.received_at.as_microsecond(),
        scores: scores.collect(),
    }
}

/// A questionnaire in a list.
pub(crate) fn questionnaire(summary: Summary) -> rest::QuestionnaireSummary {
    rest::QuestionnaireSummary {
        id: summary.id,
        url: summary.url,
        version: summary.version,
        title: summary.title,
        created_at: summary.published_at,
    }
}

/// An alert.
pub(crate) fn alert(alert: Alert) -> rest::Alert {
    rest::Alert {
        id: alert.id,
        trial_id: alert.study_id,
        site_id: alert.site_id,
        subject_id: alert.subject_id,
        response_id: alert.response_id,
        rule: alert.rule,
        status: alert.status,
        raised_at: alert.raised_at,
        acknowledged_at: alert.acknowledged_at,
        acknowledged_by: alert.acknowledged_by,
        note: alert.note,
    }
}

fn score(score: Score) -> rest::Score {
    rest::Score {
        name: score.name,
        value: score.value,
        band: score.band,
        algorithm: score.algorithm,
        missing: score.missing,
    }
}

fn discrepancy(discrepancy: Discrepancy) -> rest::Discrepancy {
    rest::Discrepancy {
        link_id: discrepancy.link_id,
        claimed: json!(discrepancy.claimed),
        computed: json!(discrepancy.computed),
    }
}
