//! How far enrolment has come: a ratio that is never rounded up.

use patient_contract::rpc::{CountEnrolledReq, PatientService};
use tenon::{Context, Result};

use crate::{ServiceContext, study::Study};

/// How far a study has come.
pub(crate) struct Progress {
    /// Subjects who were ever enrolled.
    pub(crate) enrolled: i64,
    /// Percent of the target; none without a target.
    pub(crate) percent: Option<i64>,
}

/// Asks the patient service; an answer that cannot be had is an error, never a guess.
pub(crate) async fn of(cx: &Context, svc: &ServiceContext, study: &Study) -> Result<Progress> {
    let req = CountEnrolledReq {
        trial_id: study.id.clone(),
    };
    let enrolled = svc.patient.count_enrolled(cx, req).await?.enrolled;
    Ok(Progress {
        enrolled,
        percent: percent(enrolled, study.target),
    })
}

/// Percent of the target, rounded down; more than 100 where more were enrolled than planned.
fn percent(enrolled: i64, target: Option<i64>) -> Option<i64> {
    let target = target.filter(|target| *target > 0)?;
    let percent = i128::from(enrolled) * 100 / i128::from(target);
    Some(i64::try_from(percent).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_down() {
        for (enrolled, target, expected) in [
            (0, 1, 0),
            (1, 3, 33),
            (2, 3, 66),
            (85, 100, 85),
            (199, 200, 99),
            (200, 200, 100),
            (254, 200, 127),
            (i64::MAX, 1, i64::MAX),
        ] {
            assert_eq!(percent(enrolled, Some(target)), Some(expected));
        }
        assert_eq!(percent(5, None), None);
    }
}
