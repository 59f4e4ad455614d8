//! What this service refuses: its entries of the error catalogue.

use tenon::{Code, Entry};

/// The subject does not exist, or the caller may not know that it does.
pub static PATIENT_NOT_FOUND: Entry = Entry::new(
    "PATIENT_NOT_FOUND",
    Code::NotFound,
    "the subject does not exist",
    "患者不存在",
);

/// The site does not exist in the study, or the caller may not know that it does.
pub static SITE_NOT_FOUND: Entry = Entry::new(
    "SITE_NOT_FOUND",
    Code::NotFound,
    "the site does not exist in the study",
    "研究中心不存在",
);

/// The study takes no subjects now.
pub static TRIAL_NOT_RECRUITING: Entry = Entry::new(
    "TRIAL_NOT_RECRUITING",
    Code::FailedPrecondition,
    "the study is {status} and takes no subjects; expected it to be recruiting",
    "该试验当前状态为 {status}，不接受入组",
);

/// The site takes no subjects now.
pub static SITE_NOT_ACTIVE: Entry = Entry::new(
    "SITE_NOT_ACTIVE",
    Code::FailedPrecondition,
    "the site is {status} and takes no subjects; expected it to be active",
    "该研究中心当前状态为 {status}，不接受入组",
);

/// Another subject of the study has the number, or the caller may not see the one that has it.
pub static SUBJECT_NO_TAKEN: Entry = Entry::new(
    "SUBJECT_NO_TAKEN",
    Code::AlreadyExists,
    "a subject of the study has this number; choose one that is free",
    "该受试者编号在本试验中已被使用",
);

/// [`SUBJECT_NO_TAKEN`] by the same request: it was kept before.
pub static SUBJECT_KEPT: Entry = Entry::new(
    SUBJECT_NO_TAKEN.code,
    Code::AlreadyExists,
    "the same request was kept before, as subject {subjectId}",
    "相同的请求已保存，受试者为 {subjectId}",
);

/// The subject cannot go from its status to the one that was asked for.
pub static SUBJECT_MOVE_REFUSED: Entry = Entry::new(
    "SUBJECT_MOVE_REFUSED",
    Code::FailedPrecondition,
    "a subject cannot move from status {from} to {to}; see the table of moves",
    "受试者不能从状态 {from} 变更为 {to}",
);

/// More subjects than one answer can hold.
pub static TRIAL_TOO_LARGE: Entry = Entry::new(
    "TRIAL_TOO_LARGE",
    Code::ResourceExhausted,
    "the study has more than {limit} subjects; read them page by page",
    "该试验受试者超过 {limit} 名，请分页读取",
)
.http(422);

/// All entries, for the reference.
pub static ALL: &[&Entry] = &[
    &PATIENT_NOT_FOUND,
    &SITE_NOT_FOUND,
    &TRIAL_NOT_RECRUITING,
    &SITE_NOT_ACTIVE,
    &SUBJECT_NO_TAKEN,
    &SUBJECT_KEPT,
    &SUBJECT_MOVE_REFUSED,
    &TRIAL_TOO_LARGE,
];
