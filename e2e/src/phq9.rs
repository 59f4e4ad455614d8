//! Answers to the PHQ-9 that comes with the platform.

use clinical::instrument::{OptionValue, Questionnaire, shipped};
use serde_json::{Value, json};
use uuid::Uuid;

/// Ten points, which is moderate; the last item, thoughts of self-harm, is not answered with zero.
pub const MODERATE: [i64; 9] = [2, 1, 1, 1, 1, 1, 1, 1, 1];
/// Five points, which is mild; nothing to be alarmed about.
pub const MILD: [i64; 9] = [1, 1, 1, 1, 1, 0, 0, 0, 0];

/// A questionnaire that comes with the platform, by its name.
pub fn instrument(name: &str) -> Value {
    let found = shipped().iter().find(|shipped| shipped.name == name);
    serde_json::from_str(found.unwrap().json).unwrap()
}

/// A response of a subject with these points for the nine items, under a new id.
pub fn response(subject: &str, points: [i64; 9]) -> Value {
    let questionnaire = Questionnaire::parse(&instrument("phq9")).unwrap();
    let items = questionnaire.scorings()[0].items();
    let answers = items.iter().zip(points).map(|(&index, points)| {
        let item = questionnaire.item(index);
        #[expect(clippy::cast_precision_loss, reason = "points are from 0 to 3")]
        let points = Some(points as f64);
        let chosen = item.options.iter().find(|option| option.score == points);
        let OptionValue::Coding { code, .. } = &chosen.unwrap().value else {
            panic!("an option is a coding")
        };
        json!({"linkId": item.link_id, "answer": [{"valueCoding": {"code": code}}]})
    });
    json!({
        "resourceType": "QuestionnaireResponse",
        "id": Uuid::new_v4().to_string(),
        "status": "completed",
        "questionnaire": questionnaire.canonical(),
        "subject": {"reference": format!("Patient/{subject}")},
        "item": answers.collect::<Vec<_>>(),
    })
}
