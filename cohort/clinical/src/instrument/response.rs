//! What a response says of itself, and the checked response.

use serde_json::{Map, Value};

use super::{
    AnswerValue, ItemIndex, Path, Problem, Problems, PublicationStatus, Questionnaire, Rule,
    members::{Part, refuse_unknown},
    reading,
};

/// A response whose every answer fits the questionnaire.
#[derive(Clone, Debug)]
pub struct CheckedResponse {
    pub(super) header: ResponseHeader,
    pub(super) not_collected: Vec<String>,
    /// The collected answers: of each item, in the order of the document; items in the questionnaire's order.
    pub(super) collected: Vec<(ItemIndex, AnswerValue)>,
}

impl CheckedResponse {
    /// Who answered what, and when.
    pub fn header(&self) -> &ResponseHeader {
        &self.header
    }

    /// The link ids of items that were answered although they were disabled, in the questionnaire's order.
    ///
    /// Their answers stay in the stored response, count for nothing and should be flagged "not collected".
    pub fn not_collected(&self) -> &[String] {
        &self.not_collected
    }

    /// All collected answers with their items, in the questionnaire's order.
    pub fn collected(&self) -> &[(ItemIndex, AnswerValue)] {
        &self.collected
    }

    /// The collected answers of one item, over all repetitions of its groups; empty when it is unanswered or
    /// disabled.
    pub fn answers(&self, item: ItemIndex) -> impl Iterator<Item = &AnswerValue> {
        let start = self.collected.partition_point(|(index, _)| *index < item);
        self.collected[start..]
            .iter()
            .take_while(move |(index, _)| *index == item)
            .map(|(_, answer)| answer)
    }
}

/// The members of a response beside its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The UUID made by the client, in lower case: the key of idempotent submission.
    pub id: String,
    /// The subject's id, from `subject.reference` as `Patient/<id>`.
    pub subject_id: String,
    /// The questionnaire's canonical url.
    pub url: String,
    /// The questionnaire's version.
    pub version: String,
    /// The language that the patient read, if told.
    pub language: Option<String>,
    /// The client's own time of completion, if told: RFC 3339 or a partial date, as sent.
    pub authored: Option<String>,
}

/// The questionnaire that a response answers: its url and version. Needed to find what to check it against.
///
/// # Errors
/// All problems of the members beside the items, when `questionnaire` does not name both.
pub fn questionnaire_of(response: &Value) -> Result<(&str, &str), Vec<Problem>> {
    if let Some(Ok(named)) = response.get("questionnaire").map(named_questionnaire) {
        return Ok(named);
    }
    let mut problems = Problems::default();
    if let Some(members) = reading::object(response, &Path::Root, &mut problems) {
        read_header(members, &mut problems);
    }
    // What kept the questionnaire from being read was just reported.
    Err(problems.finish().err().unwrap_or_default())
}

/// Reads the members beside the items.
pub(super) fn read_header(
    members: &Map<String, Value>,
    problems: &mut Problems,
) -> Option<ResponseHeader> {
    if members.get("resourceType").and_then(Value::as_str) != Some("QuestionnaireResponse") {
        problems.add("resourceType", Rule::Type, "QuestionnaireResponse");
    }
    for name in ["modifierExtension", "implicitRules"] {
        if members.contains_key(name) {
            problems.add(
                name,
                Rule::Unsupported,
                "no such member: it may change the meaning of the response",
            );
        }
    }
    match members.get("status").and_then(Value::as_str) {
        Some("completed") => {}
        Some("amended") => {
            let expected = "completed; a correction is not submitted as a new response, it goes through its own request";
            problems.add("status", Rule::Status, expected);
        }
        _ => problems.add(
            "status",
            Rule::Status,
            "completed; a response that is not finished stays with the client",
        ),
    }
    let questionnaire = match members.get("questionnaire").map(named_questionnaire) {
        Some(Ok(named)) => Some(named),
        Some(Err(expected)) => {
            problems.add("questionnaire", Rule::Format, expected);
            None
        }
        None => {
            problems.add(
                "questionnaire",
                Rule::Required,
                "the questionnaire as url|version",
            );
            None
        }
    };
    refuse_names(members, problems);
    let id = read_id(members, problems);
    let subject_id = read_subject(members, problems);
    let language = reading::text(members, "language", &Path::Root, problems).map(str::to_owned);
    let authored = read_authored(members, problems);
    let (url, version) = questionnaire?;
    Some(ResponseHeader {
        id: id?,
        subject_id: subject_id?,
        url: url.to_owned(),
        version: version.to_owned(),
        language,
        authored,
    })
}

/// Refuses the places where a name or a number of a person travels with a response: whoever keeps answers must not
/// keep who gave them. A narrative is the text that programs make of a response, with the name above it.
fn refuse_names(members: &Map<String, Value>, problems: &mut Problems) {
    refuse_unknown(Part::Response, members, &Path::Root, problems);
    for name in ["contained", "text"] {
        if members.contains_key(name) {
            let expected = "no such member: answers are kept without the persons that they are of";
            problems.add(name, Rule::Unsupported, expected);
        }
    }
    for holder in ["subject", "author", "source", "encounter"] {
        let Some(reference) = members.get(holder).and_then(Value::as_object) else {
            continue;
        };
        refuse_unknown(Part::Reference, reference, &Path::Written(holder), problems);
        for name in ["display", "identifier"] {
            if reference.contains_key(name) {
                let expected = "reference alone: answers are kept without the names of persons";
                problems.add(format!("{holder}.{name}"), Rule::Unsupported, expected);
            }
        }
    }
}

/// Whether the response may be checked against this questionnaire at all.
pub(super) fn check_questionnaire(
    members: &Map<String, Value>,
    questionnaire: &Questionnaire,
    problems: &mut Problems,
) {
    if let Some(Ok((url, version))) = members.get("questionnaire").map(named_questionnaire)
        && (url, version) != (questionnaire.url(), questionnaire.version())
    {
        problems.add(
            "questionnaire",
            Rule::Questionnaire,
            questionnaire.canonical(),
        );
    }
    if questionnaire.status() == PublicationStatus::Retired {
        problems.add(
            "questionnaire",
            Rule::Questionnaire,
            "a questionnaire in use; this version is retired",
        );
    }
}

fn named_questionnaire(value: &Value) -> Result<(&str, &str), &'static str> {
    value
        .as_str()
        .and_then(|text| text.split_once('|'))
        .filter(|(url, version)| {
            !url.is_empty() && !version.is_empty() && !version.contains(['|', '#'])
        })
        .ok_or("the questionnaire as url|version")
}

fn read_id(members: &Map<String, Value>, problems: &mut Problems) -> Option<String> {
    let Some(value) = members.get("id") else {
        problems.add(
            "id",
            Rule::Required,
            "a UUID made by the client, the same when the response is sent again",
        );
        return None;
    };
    let id = value
        .as_str()
        .filter(|text| is_uuid(text))
        .map(str::to_ascii_lowercase);
    if id.is_none() {
        problems.add(
            "id",
            Rule::Format,
            "a UUID of 36 characters, as 8-4-4-4-12 hexadecimal digits",
        );
    }
    id
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
}

fn read_subject(members: &Map<String, Value>, problems: &mut Problems) -> Option<String> {
    let reference = members
        .get("subject")
        .and_then(|subject| subject.get("reference"));
    let Some(reference) = reference else {
        problems.add(
            "subject.reference",
            Rule::Required,
            "the subject as Patient/<id>",
        );
        return None;
    };
    let id = reference
        .as_str()
        .and_then(|text| text.strip_prefix("Patient/"))
        .filter(|id| is_fhir_id(id));
    if id.is_none() {
        problems.add(
            "subject.reference",
            Rule::Format,
            "the subject as Patient/<id>",
        );
    }
    id.map(str::to_owned)
}

fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn read_authored(members: &Map<String, Value>, problems: &mut Problems) -> Option<String> {
    let value = members.get("authored")?;
    let text = value.as_str().filter(|text| {
        super::PartialDate::parse(text).is_some()
            || (text.contains('T') && text.parse::<jiff::Timestamp>().is_ok())
    });
    if text.is_none() {
        problems.add(
            "authored",
            Rule::Date,
            "a time with its offset, as 2026-01-31T08:00:00+08:00, or a date",
        );
    }
    text.map(str::to_owned)
}
