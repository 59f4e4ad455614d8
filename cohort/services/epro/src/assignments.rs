//! Which questionnaires the studies assign, asked of the trial service and remembered for a short
//! time: a change in a study counts here after that time at the latest.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tenon::{Context, Result};
use tokio::time::Instant;
use trial_contract::rpc::{GetAssignmentReq, TrialClient, TrialService};

/// How many studies are remembered at most.
const STUDIES_MAX: usize = 1024;

/// What the studies assign. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Assignments {
    trial: TrialClient,
    kept_for: Duration,
    studies: Arc<Mutex<HashMap<String, Arc<Slot>>>>,
}

/// What one study assigns.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    all: bool,
    assigned: HashSet<String>,
    screening: HashSet<String>,
}

impl Assignment {
    /// Whether subjects in the study answer this questionnaire, `url|version`.
    pub(crate) fn assigns(&self, canonical: &str) -> bool {
        self.all || self.assigned.contains(canonical)
    }

    /// Whether subjects in screening answer this questionnaire, `url|version`.
    pub(crate) fn screens_with(&self, canonical: &str) -> bool {
        self.screening.contains(canonical)
    }
}

#[derive(Default)]
struct Slot {
    known: Mutex<Option<(Instant, Arc<Assignment>)>>,
    /// Held by who asks; the others wait for the answer instead of asking as well.
    asking: tokio::sync::Mutex<()>,
}

impl Slot {
    fn fresh(&self, kept_for: Duration) -> Option<Arc<Assignment>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked_at, assignment) = known.as_ref()?;
        (asked_at.elapsed() < kept_for).then(|| assignment.clone())
    }
}

impl Assignments {
    pub(crate) fn new(trial: TrialClient, kept_for: Duration) -> Self {
        Self {
            trial,
            kept_for,
            studies: Arc::default(),
        }
    }

    /// What a study assigns.
    ///
    /// # Errors
    /// What the trial service answers; nothing of that is remembered.
    pub(crate) async fn of(&self, cx: &Context, study: &str) -> Result<Arc<Assignment>> {
        let slot = self.slot(study);
        if let Some(known) = slot.fresh(self.kept_for) {
            return Ok(known);
        }
        let _asking = cx.run(slot.asking.lock()).await?;
        if let Some(known) = slot.fresh(self.kept_for) {
            return Ok(known);
        }
        // Counted from the question, so that nothing is older than it says.
        let asked_at = Instant::now();
        let req = GetAssignmentReq {
            trial_id: study.to_owned(),
        };
        let resp = self.trial.get_assignment(cx, req).await?;
        let assignment = Arc::new(Assignment {
            all: resp.all,
            assigned: resp.assigned.into_iter().collect(),
            screening: resp.screening.into_iter().collect(),
        });
        let mut known = slot.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((asked_at, assignment.clone()));
        Ok(assignment)
    }

    fn slot(&self, study: &str) -> Arc<Slot> {
        let mut studies = self.studies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = studies.get(study) {
            return slot.clone();
        }
        if studies.len() >= STUDIES_MAX {
            studies.retain(|_, slot| slot.fresh(self.kept_for).is_some());
        }
        if studies.len() >= STUDIES_MAX {
            studies.clear();
        }
        studies.entry(study.to_owned()).or_default().clone()
    }
}
