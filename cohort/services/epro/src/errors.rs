//! The error catalogue of the service: stable codes with their texts.

use tenon::{Code, Entry, Violation};

/// The subject does not exist, or the caller may not know that it does.
pub static SUBJECT_NOT_FOUND: Entry = Entry::new(
    "SUBJECT_NOT_FOUND",
    Code::NotFound,
    "subject does not exist",
    "受试者不存在",
);
/// The status of the subject does not allow answers.
pub static SUBJECT_MAY_NOT_ANSWER: Entry = Entry::new(
    "SUBJECT_MAY_NOT_ANSWER",
    Code::FailedPrecondition,
    "the subject's status does not allow it to answer questionnaires",
    "受试者当前状态不允许填写问卷",
);
/// The study does not assign the questionnaire to subjects of this status.
pub static QUESTIONNAIRE_NOT_ASSIGNED: Entry = Entry::new(
    "QUESTIONNAIRE_NOT_ASSIGNED",
    Code::FailedPrecondition,
    "the study does not assign this questionnaire to subjects of this status",
    "该研究未向此状态的受试者分配此问卷",
);
/// The url and version of the questionnaire stand for another content.
pub static QUESTIONNAIRE_VERSION_EXISTS: Entry = Entry::new(
    "QUESTIONNAIRE_VERSION_EXISTS",
    Code::AlreadyExists,
    "this version of the questionnaire is published with another content; publish a new version",
    "该问卷版本已发布且内容不同，请发布新版本",
);
/// The questionnaire does not exist.
pub static QUESTIONNAIRE_NOT_FOUND: Entry = Entry::new(
    "QUESTIONNAIRE_NOT_FOUND",
    Code::NotFound,
    "questionnaire does not exist",
    "问卷不存在",
);
/// The response does not exist, or the caller may not know that it does.
pub static RESPONSE_NOT_FOUND: Entry = Entry::new(
    "RESPONSE_NOT_FOUND",
    Code::NotFound,
    "response does not exist",
    "问卷答复不存在",
);
/// The id of the response stands for another content.
pub static RESPONSE_ID_CONFLICT: Entry = Entry::new(
    "RESPONSE_ID_CONFLICT",
    Code::AlreadyExists,
    "a response with this id and another content is stored; send a new response under a new id",
    "该答复标识已存在且内容不同，请使用新标识提交",
);
/// The alert does not exist, or the caller may not know that it does.
pub static ALERT_NOT_FOUND: Entry = Entry::new(
    "ALERT_NOT_FOUND",
    Code::NotFound,
    "alert does not exist",
    "警报不存在",
);

/// Every entry of this service.
pub static ALL: &[&Entry] = &[
    &SUBJECT_NOT_FOUND,
    &SUBJECT_MAY_NOT_ANSWER,
    &QUESTIONNAIRE_NOT_ASSIGNED,
    &QUESTIONNAIRE_VERSION_EXISTS,
    &QUESTIONNAIRE_NOT_FOUND,
    &RESPONSE_NOT_FOUND,
    &RESPONSE_ID_CONFLICT,
    &ALERT_NOT_FOUND,
];

/// What is wrong with a questionnaire or a response, as violations of the request.
pub(crate) fn violations(problems: Vec<clinical::instrument::Problem>) -> Vec<Violation> {
    problems
        .into_iter()
        .map(|problem| Violation::body(problem.place(), problem.rule.as_str(), problem.expected))
        .collect()
}
