//! Which questionnaires the studies assign, asked of the trial service and remembered for a short
//! time: a change in a study counts here after that time at the latest.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tenon::{Code, Context, Result};
use tokio::time::Instant;
use trial_contract::rpc::{GetAssignmentReq, GetAssignmentResp, TrialClient, TrialService};

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
        let resp = match self.trial.get_assignment(cx, req).await {
            // A study that the trial service does not know assigns nothing.
            Err(error) if error.status() == Code::NotFound => GetAssignmentResp::default(),
            answered => answered?,
        };
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tenon::{Entry, catalogue};
    use trial_contract::rpc::{GetProgressReq, GetProgressResp, GetSiteReq, GetSiteResp};

    use super::*;

    static TRIAL_NOT_FOUND: Entry = Entry::new("TRIAL_NOT_FOUND", Code::NotFound, "none", "无");

    /// Assigns the number of the question, so that a remembered answer shows.
    struct Trial(Arc<AtomicUsize>);

    impl TrialService for Trial {
        async fn get_assignment(
            &self,
            _: &Context,
            req: GetAssignmentReq,
        ) -> Result<GetAssignmentResp> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            match req.trial_id.as_str() {
                "unknown" => Err(TRIAL_NOT_FOUND.error()),
                "down" => Err(catalogue::UNAVAILABLE.error()),
                _ => Ok(GetAssignmentResp {
                    assigned: vec![number.to_string()],
                    ..GetAssignmentResp::default()
                }),
            }
        }

        async fn get_progress(&self, _: &Context, _: GetProgressReq) -> Result<GetProgressResp> {
            panic!("nobody asks for progress")
        }

        async fn get_site(&self, _: &Context, _: GetSiteReq) -> Result<GetSiteResp> {
            panic!("nobody asks for a site")
        }
    }

    fn asked() -> (Assignments, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let client = TrialClient::local(Trial(asked.clone()));
        (Assignments::new(client, Duration::from_secs(5)), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_for_its_time_and_not_longer() {
        let (assignments, asked) = asked();
        let cx = Context::background();
        assert!(assignments.of(&cx, "T1").await.unwrap().assigns("0"));
        tokio::time::advance(Duration::from_millis(4980)).await;
        assert!(assignments.of(&cx, "T1").await.unwrap().assigns("0"));
        tokio::time::advance(Duration::from_millis(20)).await;
        assert!(assignments.of(&cx, "T1").await.unwrap().assigns("1"));
        assert!(assignments.of(&cx, "T2").await.unwrap().assigns("2"));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_together_ask_once_and_one_who_leaves_hurts_no_other() {
        let (assignments, asked) = asked();
        let cx = Context::background();
        let impatient = cx.with_timeout(Duration::from_millis(5));
        let (left, first, second) = tokio::join!(
            assignments.of(&impatient, "T1"),
            assignments.of(&cx, "T1"),
            assignments.of(&cx, "T1"),
        );
        assert!(left.unwrap_err().is(&catalogue::DEADLINE_EXCEEDED));
        assert!(first.unwrap().assigns("1") && second.unwrap().assigns("1"));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_not_remembered_and_an_unknown_study_assigns_nothing() {
        let (assignments, asked) = asked();
        let cx = Context::background();
        for _ in 0..2 {
            let error = assignments.of(&cx, "down").await.unwrap_err();
            assert!(error.is(&catalogue::UNAVAILABLE));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let unknown = assignments.of(&cx, "unknown").await.unwrap();
        assert!(!unknown.assigns("0") && !unknown.screens_with("0"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded() {
        let (assignments, _) = asked();
        let cx = Context::background().with_timeout(Duration::from_secs(600));
        for number in 0..STUDIES_MAX + 10 {
            assignments.of(&cx, &format!("T{number}")).await.unwrap();
            let held = assignments.studies.lock().unwrap().len();
            assert!(held <= STUDIES_MAX, "{held}");
        }
    }
}
