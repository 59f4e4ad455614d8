//! A subject's status in a study: its codes, the legal moves, and who may answer questionnaires.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where a subject stands in a study. The codes are fixed on the wire and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Status {
    /// 0: being screened.
    Screening,
    /// 1: enrolled.
    Enrolled,
    /// 2: withdrawn.
    Withdrawn,
    /// 3: did not pass the screening.
    ScreenFailed,
    /// 4: completed the study.
    Completed,
    /// 5: lost to follow-up.
    LostToFollowUp,
    /// 6: deceased.
    Deceased,
}

impl Status {
    /// All statuses, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Screening,
        Self::Enrolled,
        Self::Withdrawn,
        Self::ScreenFailed,
        Self::Completed,
        Self::LostToFollowUp,
        Self::Deceased,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status of a code from 0 to 6.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code)
            .ok()
            .and_then(|position| Self::ALL.get(position))
            .copied()
    }

    /// The code for callers that know only 0, 1 and 2: every way of leaving is 2.
    pub const fn legacy_code(self) -> u8 {
        match self {
            Self::Screening => 0,
            Self::Enrolled => 1,
            Self::Withdrawn
            | Self::ScreenFailed
            | Self::Completed
            | Self::LostToFollowUp
            | Self::Deceased => 2,
        }
    }

    /// The statuses that may follow this one. Reinstatement is not a move: it needs a second person's consent.
    pub const fn successors(self) -> &'static [Self] {
        match self {
            Self::Screening => &[Self::Enrolled, Self::ScreenFailed],
            Self::Enrolled => &[
                Self::Withdrawn,
                Self::Completed,
                Self::LostToFollowUp,
                Self::Deceased,
            ],
            Self::Withdrawn
            | Self::ScreenFailed
            | Self::Completed
            | Self::LostToFollowUp
            | Self::Deceased => &[],
        }
    }

    /// Whether the move to another status is legal.
    pub fn may_become(self, next: Self) -> bool {
        self.successors().contains(&next)
    }

    /// A word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Screening => "screening",
            Self::Enrolled => "enrolled",
            Self::Withdrawn => "withdrawn",
            Self::ScreenFailed => "screen failed",
            Self::Completed => "completed",
            Self::LostToFollowUp => "lost to follow-up",
            Self::Deceased => "deceased",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.code(), self.as_str())
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        status.code()
    }
}

impl TryFrom<u8> for Status {
    type Error = UnknownStatus;

    fn try_from(code: u8) -> Result<Self, Self::Error> {
        Self::from_code(i64::from(code)).ok_or(UnknownStatus)
    }
}

/// A code that is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("subject status is not known: expected a code from 0 to 6")]
pub struct UnknownStatus;

/// A requested move.
#[derive(Clone, Copy, Debug)]
pub struct Move<'r> {
    /// The new status.
    pub to: Status,
    /// Why. Needed for all moves but enrolment, whose reason is always that the subject is eligible and consents.
    pub reason: Option<&'r str>,
    /// The day on which it happened, in the site's calendar. Always needed.
    pub date: Option<Date>,
}

/// Why a move is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The table of moves does not have it.
    #[error("subject cannot move from status {from} to {to}: {}", allowed(*from))]
    Illegal {
        /// The present status.
        from: Status,
        /// The requested one.
        to: Status,
    },
    /// The reason is absent or blank.
    #[error("subject's move has no reason: give the reason for leaving or not enrolling")]
    ReasonMissing,
    /// The date is absent.
    #[error("subject's move has no date: give the day on which it happened")]
    DateMissing,
    /// The date is after today.
    #[error("subject's move has a date in the future: give the day on which it happened")]
    DateInFuture,
    /// The date is before the day of the present status.
    #[error("subject's move is dated before its present status began: give a day from then on")]
    DateBeforePresent,
}

impl MoveError {
    /// Whether the move conflicts with the subject's state, rather than the request being incomplete.
    pub const fn is_conflict(self) -> bool {
        matches!(self, Self::Illegal { .. })
    }
}

fn allowed(from: Status) -> String {
    match from.successors() {
        [] => "this status is final".to_owned(),
        successors => {
            let successors: Vec<String> = successors.iter().map(Status::to_string).collect();
            format!("expected one of {}", successors.join(", "))
        }
    }
}

/// Checks a move out of the status `from`, which began on the day `since`.
///
/// # Errors
/// All reasons at once; the illegal move, if it is one, comes first. `today` is that of the subject's site.
pub fn check_move(
    from: Status,
    since: Option<Date>,
    request: Move<'_>,
    today: Date,
) -> Result<(), Vec<MoveError>> {
    let mut errors = Vec::new();
    if !from.may_become(request.to) {
        errors.push(MoveError::Illegal {
            from,
            to: request.to,
        });
    }
    let enrolment = request.to == Status::Enrolled;
    if !enrolment && request.reason.is_none_or(|reason| reason.trim().is_empty()) {
        errors.push(MoveError::ReasonMissing);
    }
    match request.date {
        None => errors.push(MoveError::DateMissing),
        Some(date) if date > today => errors.push(MoveError::DateInFuture),
        Some(date) if since.is_some_and(|since| date < since) => {
            errors.push(MoveError::DateBeforePresent)
        }
        Some(_) => {}
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Which part of a study a questionnaire is assigned in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assignment {
    /// Before enrolment.
    Screening,
    /// From enrolment on.
    Study,
}

/// Whether a subject may answer what is assigned.
///
/// Enrolled, withdrawn and completed subjects answer all that the study assigns (the last visit comes after
/// withdrawal); those being screened answer what belongs to screening; all others nothing.
pub const fn may_answer(status: Status, assignment: Assignment) -> bool {
    match status {
        Status::Enrolled | Status::Withdrawn | Status::Completed => true,
        Status::Screening => matches!(assignment, Assignment::Screening),
        Status::ScreenFailed | Status::LostToFollowUp | Status::Deceased => false,
    }
}
