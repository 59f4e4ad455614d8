//! Questionnaires and responses in few words, for the tests beside this file.

use clinical::instrument::{CheckedResponse, Questionnaire, Rule, check};
use serde_json::{Value, json};

pub(crate) const ID: &str = "0190A3C4-7b1e-7c3a-9f00-0123456789ab";

pub(crate) fn compile(items: Value) -> Questionnaire {
    Questionnaire::parse(
        &json!({"resourceType": "Questionnaire", "url": "urn:test:q", "version": "1", "status": "active", "item": items}),
    )
    .unwrap()
}

pub(crate) fn response(items: Value) -> Value {
    json!({
        "resourceType": "QuestionnaireResponse", "id": ID, "status": "completed", "questionnaire": "urn:test:q|1",
        "subject": {"reference": "Patient/s-1"}, "authored": "2024-05-01T08:00:00+08:00", "language": "en", "item": items
    })
}

pub(crate) fn found(questionnaire: &Questionnaire, items: Value) -> Vec<(String, Rule)> {
    let problems = check(questionnaire, &response(items)).unwrap_err();
    problems
        .into_iter()
        .map(|problem| (problem.path, problem.rule))
        .collect()
}

pub(crate) fn pairs<const N: usize>(expected: [(&str, Rule); N]) -> Vec<(String, Rule)> {
    expected
        .into_iter()
        .map(|(path, rule)| (path.to_owned(), rule))
        .collect()
}

pub(crate) fn accepted(questionnaire: &Questionnaire, items: Value) -> CheckedResponse {
    check(questionnaire, &response(items)).unwrap()
}

pub(crate) fn answer(link_id: &str, value: Value) -> Value {
    json!({"linkId": link_id, "answer": [value]})
}

pub(crate) fn when(question: &str, operator: &str, kind: &str, expected: Value) -> Value {
    json!([{"question": question, "operator": operator, format!("answer{kind}"): expected}])
}
