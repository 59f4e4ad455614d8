//! Whatever the JSON is: no panic, bounded work, and agreement between what is enabled and what is demanded.

use clinical::canonical::{canonicalize, digest};
use clinical::instrument::{Questionnaire, check, questionnaire_of, shipped};
use clinical::scoring::score;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// Texts that FHIR documents hold in places where they decide something.
const WORDS: [&str; 22] = [
    "a",
    "b",
    "group",
    "choice",
    "integer",
    "date",
    "display",
    "completed",
    "active",
    "Questionnaire",
    "QuestionnaireResponse",
    "urn:t|1",
    "exists",
    "=",
    ">",
    "all",
    "2024-02-30",
    "2024",
    "",
    "phq9/1",
    "urn:cohort:scoring",
    "http://hl7.org/fhir/StructureDefinition/minValue",
];

/// Members that the readers look for.
const NAMES: &str = "item linkId type answer answerOption enableWhen question operator answerBoolean answerInteger \
    valueCoding valueInteger valueDate valueString code display required repeats extension url version status \
    resourceType initial questionnaire id subject reference maxLength";

/// Values built from the words that FHIR uses, so that they reach deep into the readers.
fn fhir_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(WORDS.to_vec()).prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(6, 96, 6, |inner| {
        let name = prop::sample::select(NAMES.split_whitespace().collect::<Vec<_>>());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..8).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// A well-formed questionnaire of a few items in a group that may repeat, with conditions of every operator.
fn conditional() -> impl Strategy<Value = (Value, Value)> {
    let operator = prop::sample::select(vec!["exists", "=", "!=", ">", "<", ">=", "<="]);
    let condition = (0_usize..6, operator, 0_i64..3);
    let item = (
        prop::collection::vec(condition, 0..3),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let answers =
        prop::collection::btree_map(0_usize..6, prop::collection::vec(0_i64..3, 0..3), 1..6);
    let groups = prop::collection::vec(answers, 0..3);
    (prop::collection::vec(item, 6), prop::bool::weighted(0.8), any::<bool>(), groups).prop_map(
        |(items, repeats, backwards, groups)| {
            let mut items: Vec<Value> = items
                .into_iter()
                .enumerate()
                .map(|(number, (conditions, required, any, several))| {
                    let conditions: Vec<Value> = conditions
                        .into_iter()
                        // Only to items of a lower number, so that there is no circle.
                        .filter(|_| number > 0)
                        .map(|(question, operator, expected)| {
                            let (kind, expected) = match operator {
                                "exists" => ("answerBoolean", json!(expected == 0)),
                                _ => ("answerInteger", json!(expected)),
                            };
                            json!({"question": format!("q{}", question % number), "operator": operator, kind: expected})
                        })
                        .collect();
                    json!({"linkId": format!("q{number}"), "type": "integer", "required": required, "repeats": several,
                        "enableBehavior": if any { "any" } else { "all" }, "enableWhen": conditions})
                })
                .collect();
            if backwards {
                items.reverse();
            }
            let questionnaire = json!({"resourceType": "Questionnaire", "url": "urn:t", "version": "1", "status": "active",
                "item": [{"linkId": "g", "type": "group", "repeats": repeats, "item": items}]});
            let groups: Vec<Value> = groups
                .into_iter()
                .map(|answers| {
                    let items: Vec<Value> = answers
                        .into_iter()
                        .map(|(number, values)| {
                            let values: Vec<Value> = values.into_iter().map(|value| json!({"valueInteger": value})).collect();
                            json!({"linkId": format!("q{number}"), "answer": values})
                        })
                        .collect();
                    json!({"linkId": "g", "item": items})
                })
                .collect();
            (questionnaire, response(json!(groups)))
        },
    )
}

fn response(items: Value) -> Value {
    json!({"resourceType": "QuestionnaireResponse", "id": "0190a3c4-7b1e-7c3a-9f00-0123456789ab", "status": "completed",
        "questionnaire": "urn:t|1", "subject": {"reference": "Patient/1"}, "item": items})
}

/// Any questionnaire frame around arbitrary items, so that parsing gets past the header.
fn framed(items: Value) -> Value {
    json!({"resourceType": "Questionnaire", "url": "urn:t", "version": "1", "status": "active", "item": items})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_json_never_panics(json in fhir_like(), other in fhir_like()) {
        let phq9 = Questionnaire::from_json(shipped()[0].json).unwrap();
        let _ = questionnaire_of(&json);
        let _ = check(&phq9, &json);
        let _ = check(&phq9, &response(json.clone()));
        let _ = Questionnaire::parse(&json);
        if let Ok(questionnaire) = Questionnaire::parse(&framed(json.clone()))
            && let Ok(checked) = check(&questionnaire, &response(other))
        {
            let _ = score(&questionnaire, &checked);
        }
        prop_assert_eq!(digest(&json), digest(&serde_json::from_str(&canonicalize(&json)).unwrap()));
    }

    /// A response that passes holds every answer that was given, either collected or reported.
    #[test]
    fn conditions_never_panic_and_never_lose_an_answer((questionnaire, response) in conditional()) {
        let Ok(questionnaire) = Questionnaire::parse(&questionnaire) else { return Ok(()) };
        let Ok(checked) = check(&questionnaire, &response) else { return Ok(()) };
        for item in questionnaire.items().iter().filter(|item| item.kind.is_question()) {
            let given = response["item"].as_array().unwrap().iter()
                .flat_map(|group| group["item"].as_array().unwrap())
                .filter(|given| given["linkId"] == item.link_id.as_str())
                .map(|given| given["answer"].as_array().unwrap().len())
                .sum::<usize>();
            let collected = checked.answers(questionnaire.find(&item.link_id).unwrap()).count();
            let reported = checked.not_collected().contains(&item.link_id);
            prop_assert!(collected <= given);
            prop_assert_eq!(collected < given, reported);
        }
    }
}

/// The property above says something only if enough responses pass, some of them with hidden answers.
#[test]
fn the_conditional_responses_are_often_accepted() {
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut with_hidden) = (0, 0);
    for _ in 0..500 {
        let (questionnaire, response) = conditional().new_tree(&mut runner).unwrap().current();
        let questionnaire = Questionnaire::parse(&questionnaire).unwrap();
        if let Ok(checked) = check(&questionnaire, &response) {
            accepted += 1;
            with_hidden += u32::from(!checked.not_collected().is_empty());
        }
    }
    assert!(
        accepted > 100 && with_hidden >= 20,
        "{accepted} {with_hidden}"
    );
}

/// The walk goes only where the questionnaire goes, however deep the JSON is.
#[test]
fn deeply_nested_json_is_answered_without_descending() {
    let phq9 = Questionnaire::from_json(shipped()[0].json).unwrap();
    let mut items = json!([]);
    for _ in 0..300 {
        items = json!([{"linkId": "/44250-9", "item": items}]);
    }
    let problems = check(&phq9, &response(items)).unwrap_err();
    assert!(problems.len() < 20);
}
