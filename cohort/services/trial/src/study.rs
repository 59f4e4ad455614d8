//! A study and its sites, as the store keeps them and the doors show them.

use serde::{Deserialize, Serialize};
use tenon::Timestamp;
use trial_contract::rest;

/// A study.
#[derive(Debug, Clone)]
pub(crate) struct Study {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) title: String,
    /// One of the states that the contract lists.
    pub(crate) status: String,
    /// How many subjects are to be enrolled.
    pub(crate) target: Option<i64>,
    pub(crate) definition: Definition,
    pub(crate) created_at: Timestamp,
}

/// What a study plans. Its JSON is what the database keeps: fields are added, never renamed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Definition {
    pub(crate) arms: Vec<Arm>,
    pub(crate) cycles: Vec<Cycle>,
}

/// An arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Arm {
    pub(crate) code: String,
    pub(crate) title: String,
}

/// A planned study event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cycle {
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) screening: bool,
    /// Days from enrolment.
    pub(crate) offset_days: i64,
    pub(crate) window_before_days: i64,
    pub(crate) window_after_days: i64,
    /// As `url|version`.
    pub(crate) questionnaires: Vec<String>,
}

/// A site of a study.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) id: String,
    pub(crate) study_id: String,
    pub(crate) code: String,
    pub(crate) name: String,
    /// Its IANA name.
    pub(crate) time_zone: String,
    /// One of the states that the contract lists.
    pub(crate) status: String,
    pub(crate) target: Option<i64>,
    pub(crate) created_at: Timestamp,
}

impl Definition {
    /// The questionnaires of all cycles, or of the screening ones, each once, in the order of the
    /// plan.
    pub(crate) fn questionnaires(&self, screening_only: bool) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for cycle in &self.cycles {
            if screening_only && !cycle.screening {
                continue;
            }
            for questionnaire in &cycle.questionnaires {
                if !found.contains(questionnaire) {
                    found.push(questionnaire.clone());
                }
            }
        }
        found
    }
}

impl From<Study> for rest::Trial {
    fn from(study: Study) -> Self {
        let Definition { arms, cycles } = study.definition;
        Self {
            id: study.id,
            code: study.code,
            title: study.title,
            status: study.status,
            target: study.target,
            arms: arms.into_iter().map(rest::Arm::from).collect(),
            cycles: cycles.into_iter().map(rest::Cycle::from).collect(),
            created_at: study.created_at,
        }
    }
}

impl From<Arm> for rest::Arm {
    fn from(Arm { code, title }: Arm) -> Self {
        Self { code, title }
    }
}

impl From<rest::Arm> for Arm {
    fn from(rest::Arm { code, title }: rest::Arm) -> Self {
        Self { code, title }
    }
}

impl From<Cycle> for rest::Cycle {
    fn from(cycle: Cycle) -> Self {
        let questionnaires = cycle.questionnaires;
        Self {
            code: cycle.code,
            title: cycle.title,
            screening: cycle.screening,
            offset_days: cycle.offset_days,
            window_before_days: cycle.window_before_days,
            window_after_days: cycle.window_after_days,
            questionnaires: (!questionnaires.is_empty()).then_some(questionnaires),
        }
    }
}

impl From<rest::Cycle> for Cycle {
    fn from(cycle: rest::Cycle) -> Self {
        Self {
            code: cycle.code,
            title: cycle.title,
            screening: cycle.screening,
            offset_days: cycle.offset_days,
            window_before_days: cycle.window_before_days,
            window_after_days: cycle.window_after_days,
            questionnaires: cycle.questionnaires.unwrap_or_default(),
        }
    }
}

impl From<Site> for rest::Site {
    fn from(site: Site) -> Self {
        Self {
            id: site.id,
            trial_id: site.study_id,
            code: site.code,
            name: site.name,
            time_zone: site.time_zone,
            status: site.status,
            target: site.target,
            created_at: site.created_at,
        }
    }
}
