//! Scores computed from checked answers; what a client claims is compared and never believed.
//!
//! A questionnaire declares how it is scored by the extension `urn:cohort:scoring` at its top:
//!
//! ```json
//! {"url": "urn:cohort:scoring", "extension": [
//!   {"url": "algorithm", "valueString": "phq9/1"},
//!   {"url": "item", "valueString": "/44250-9"},
//!   {"url": "total", "valueString": "/44261-6"}
//! ]}
//! ```
//!
//! with one `item` per scored question in the algorithm's order, and optionally the read-only integer item in which
//! clients put their own total. The declaration is checked when the questionnaire is compiled: an option's score
//! must be one that the algorithm knows, so that codes such as "refused" can never be summed.

mod algorithm;
mod declaration;

use serde::{Deserialize, Serialize};

pub use algorithm::{Algorithm, Band, algorithm, algorithms};
pub(crate) use declaration::read_declarations;

use crate::instrument::{AnswerValue, CheckedResponse, ItemIndex, Questionnaire};

/// One algorithm applied to the items of one questionnaire.
#[derive(Clone, Debug)]
pub struct Scoring {
    algorithm: &'static Algorithm,
    items: Vec<ItemIndex>,
    total: Option<ItemIndex>,
}

impl Scoring {
    /// The algorithm.
    pub fn algorithm(&self) -> &'static Algorithm {
        self.algorithm
    }

    /// The scored items, in the algorithm's order.
    pub fn items(&self) -> &[ItemIndex] {
        &self.items
    }

    /// The read-only item for a claimed total.
    pub fn total(&self) -> Option<ItemIndex> {
        self.total
    }
}

/// Everything computed from one response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// One score per declared algorithm.
    pub scores: Vec<Score>,
    /// What a person must look at, whatever the totals.
    pub alerts: Vec<Alert>,
    /// Claimed totals that differ from ours.
    pub discrepancies: Vec<Discrepancy>,
}

/// One score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The scale, as `phq9`.
    pub name: String,
    /// The total; `None` when it may not be computed.
    pub value: Option<i64>,
    /// What the total means; `None` without a total.
    pub band: Option<Band>,
    /// Algorithm and version, as `phq9/1`.
    pub algorithm: String,
    /// The link ids of the scored items without an answer, in order.
    pub missing: Vec<String>,
    /// How missing answers were treated.
    pub missing_rule: MissingRule,
}

/// What becomes of a score when answers are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingRule {
    /// No total if any item is missing.
    NoTotalIfAnyMissing,
}

/// An answer that a person must look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What was found, as `phq9-item9`: the scale and the item's number in it.
    pub kind: String,
    /// The algorithm whose rule fired, as `phq9/1`.
    pub algorithm: String,
    /// The item.
    pub link_id: String,
    /// The item's score.
    pub value: i64,
}

/// A claimed total that differs from the computed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discrepancy {
    /// The read-only item that holds the claim.
    pub link_id: String,
    /// What the client claims.
    pub claimed: i64,
    /// What was computed; `None` when there is no total.
    pub computed: Option<i64>,
}

/// Computes all scores that a questionnaire declares.
///
/// `response` must have been checked against the same `questionnaire`. Disabled items count as missing.
pub fn score(questionnaire: &Questionnaire, response: &CheckedResponse) -> Scores {
    let mut result = Scores::default();
    for scoring in questionnaire.scorings() {
        score_one(questionnaire, response, scoring, &mut result);
    }
    result
}

fn score_one(
    questionnaire: &Questionnaire,
    response: &CheckedResponse,
    scoring: &Scoring,
    result: &mut Scores,
) {
    let algorithm = scoring.algorithm;
    let mut sum = 0;
    let mut missing = Vec::new();
    for (position, &index) in scoring.items.iter().enumerate() {
        let item = questionnaire.item(index);
        let Some(value) = response
            .answers(index)
            .next()
            .and_then(|answer| item_score(questionnaire, index, answer))
        else {
            missing.push(item.link_id.clone());
            continue;
        };
        sum += value;
        let number = position + 1;
        if algorithm.alert_items.contains(&number) && value > 0 {
            result.alerts.push(Alert {
                kind: format!("{}-item{number}", algorithm.name),
                algorithm: algorithm.id.to_owned(),
                link_id: item.link_id.clone(),
                value,
            });
        }
    }
    let value = missing.is_empty().then_some(sum);
    if let Some(total) = scoring.total
        && let Some(AnswerValue::Integer(claimed)) = response.answers(total).next()
        && Some(*claimed) != value
    {
        result.discrepancies.push(Discrepancy {
            link_id: questionnaire.item(total).link_id.clone(),
            claimed: *claimed,
            computed: value,
        });
    }
    result.scores.push(Score {
        name: algorithm.name.to_owned(),
        value,
        band: value.and_then(|value| algorithm.band(value)),
        algorithm: algorithm.id.to_owned(),
        missing,
        missing_rule: MissingRule::NoTotalIfAnyMissing,
    });
}

/// The score of a chosen option. The declaration was checked: each option has a small whole score.
#[expect(
    clippy::cast_possible_truncation,
    reason = "declared scores are whole numbers within the algorithm's range"
)]
fn item_score(
    questionnaire: &Questionnaire,
    index: ItemIndex,
    answer: &AnswerValue,
) -> Option<i64> {
    let AnswerValue::Option(option) = answer else {
        return None;
    };
    questionnaire
        .item(index)
        .options
        .get(*option)?
        .score
        .map(|score| score as i64)
}
