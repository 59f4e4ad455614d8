//! Reading questionnaires: what is accepted, and every problem of a bad one at once with its place.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use clinical::instrument::{
    AnswerValue, Bound, ItemKind, MAX_DEPTH, Problem, PublicationStatus, Questionnaire, Rule,
    shipped,
};
use serde_json::{Value, json};

fn questionnaire(items: Value) -> Value {
    json!({"resourceType": "Questionnaire", "url": "urn:test:q", "version": "1", "status": "active", "item": items})
}

fn problems(items: Value) -> Vec<(String, Rule)> {
    let found = Questionnaire::parse(&questionnaire(items)).unwrap_err();
    found
        .into_iter()
        .map(|problem| (problem.path, problem.rule))
        .collect()
}

fn found(path: &str, rule: Rule) -> (String, Rule) {
    (path.to_owned(), rule)
}

#[test]
fn every_supported_type_and_member_is_compiled() {
    let compiled = Questionnaire::parse(&questionnaire(json!([
        {"linkId": "g", "type": "group", "repeats": true, "item": [
            {"linkId": "d", "type": "display", "text": "Read this"},
            {"linkId": "i", "type": "integer", "required": true, "initial": [{"valueInteger": 3}], "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/minValue", "valueInteger": 1},
                {"url": "http://hl7.org/fhir/StructureDefinition/maxValue", "valueInteger": 5}
            ]},
        ]},
        {"linkId": "c", "type": "choice", "text": "How?", "prefix": "1.", "answerOption": [
            {"valueCoding": {"system": "s", "code": "a", "display": "A"},
             "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/itemWeight", "valueDecimal": 2}]},
            {"valueCoding": {"code": "b",
             "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 1.5}]}},
            {"valueInteger": 7},
            {"valueString": "often"}
        ]},
        {"linkId": "o", "type": "open-choice", "maxLength": 20, "answerOption": [{"valueString": "x"}]},
        {"linkId": "n", "type": "decimal", "readOnly": true},
        {"linkId": "b", "type": "boolean"},
        {"linkId": "t", "type": "date", "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/minValue", "valueDate": "2020-01"}]},
        {"linkId": "s", "type": "string", "maxLength": 10},
        {"linkId": "x", "type": "text"}
    ])))
    .unwrap();
    assert_eq!(compiled.canonical(), "urn:test:q|1");
    assert_eq!(compiled.status(), PublicationStatus::Active);
    assert_eq!(compiled.items().len(), 10);
    assert_eq!(compiled.roots().len(), 8);
    let item = |link_id| compiled.item(compiled.find(link_id).unwrap());
    assert!(item("g").repeats && item("g").children.len() == 2);
    assert_eq!(item("i").parent, compiled.find("g"));
    assert_eq!(
        (item("i").minimum, item("i").maximum),
        (Some(Bound::Integer(1)), Some(Bound::Integer(5)))
    );
    assert_eq!(item("i").initial, [AnswerValue::Integer(3)]);
    let scores: Vec<Option<f64>> = item("c")
        .options
        .iter()
        .map(|option| option.score)
        .collect();
    assert_eq!(scores, [Some(2.0), Some(1.5), None, None]);
    assert_eq!(
        (item("c").prefix.as_deref(), item("c").text.as_deref()),
        (Some("1."), Some("How?"))
    );
    assert!(item("n").read_only);
    assert_eq!(item("s").max_length, Some(10));
    assert!(matches!(item("t").minimum, Some(Bound::Date(date)) if !date.is_complete()));
    assert_eq!(ItemKind::ALL.len(), 10);
}

#[test]
fn a_questionnaire_without_identity_or_items_is_told_all_that_is_missing() {
    let found: Vec<(String, Rule)> =
        Questionnaire::parse(&json!({"resourceType": "Patient", "url": " ", "version": "1|2"}))
            .unwrap_err()
            .into_iter()
            .map(|problem| (problem.path, problem.rule))
            .collect();
    let expected = [
        ("resourceType", Rule::Type),
        ("url", Rule::Type),
        ("version", Rule::Format),
        ("status", Rule::Required),
    ];
    assert_eq!(found, expected.map(|(path, rule)| (path.to_owned(), rule)));
    assert_eq!(problems(json!([])), [("item".to_owned(), Rule::Required)]);
    assert_eq!(
        Questionnaire::parse(&json!([])).unwrap_err()[0].rule,
        Rule::Type
    );
    let text = Questionnaire::from_json("{\n  \"a\": }").unwrap_err();
    assert_eq!(
        text[0].to_string(),
        "document: format: expected JSON; line 2, column 8 is not"
    );
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let expected = [
        found("item[0].type", Rule::Unsupported),
        found("item[1].linkId", Rule::Duplicate),
        found("item[2].answerOption", Rule::Required),
        found("item[3].maxLength", Rule::Structure),
        found("item[3].answerOption", Rule::Structure),
        found("item[3].extension", Rule::Minimum),
        found("item[4].item", Rule::Required),
        found("item[5].answerOption[1]", Rule::Duplicate),
        found("item[5].answerOption[2]", Rule::Unsupported),
        found("item[5].initial[0]", Rule::IllegalOption),
        found("item[6].linkId", Rule::Required),
        found("item[6].type", Rule::Required),
        found("item[7]", Rule::Type),
        found("item[8]", Rule::Structure),
        found("item[9].answerValueSet", Rule::Unsupported),
        found("item[10].item", Rule::Unsupported),
        found("item[11].required", Rule::Type),
    ];
    let min = "http://hl7.org/fhir/StructureDefinition/minValue";
    let max = "http://hl7.org/fhir/StructureDefinition/maxValue";
    let items = json!([
        {"linkId": "a", "type": "attachment"},
        {"linkId": "a", "type": "string"},
        {"linkId": "c", "type": "choice"},
        {"linkId": "d", "type": "integer", "maxLength": 3, "answerOption": [{"valueInteger": 1}],
         "extension": [{"url": min, "valueInteger": 9}, {"url": max, "valueInteger": 1}]},
        {"linkId": "e", "type": "group"},
        {"linkId": "f", "type": "choice", "initial": [{"valueCoding": {"code": "z"}}], "answerOption": [
            {"valueCoding": {"code": "1"}}, {"valueCoding": {"code": "1"}}, {"valueReference": {}}]},
        {},
        17,
        {"linkId": "h", "type": "display", "required": true},
        {"linkId": "i", "type": "choice", "answerValueSet": "urn:v"},
        {"linkId": "j", "type": "string", "repeats": true, "item": [{"linkId": "k", "type": "string"}]},
        {"linkId": "l", "type": "string", "required": "yes"},
    ]);
    assert_eq!(problems(items), expected);
}

#[test]
fn an_unsupported_type_names_the_item() {
    let found = Questionnaire::parse(&questionnaire(
        json!([{"linkId": "photo", "type": "attachment"}]),
    ))
    .unwrap_err();
    assert_eq!(found[0].link_id.as_deref(), Some("photo"));
    assert!(found[0].expected.contains("open-choice"));
    assert_eq!(
        serde_json::to_value(&found[0]).unwrap(),
        json!({"path": "item[0].type", "linkId": "photo", "rule": "unsupported", "expected": found[0].expected})
    );
    let back: Problem = serde_json::from_value(serde_json::to_value(&found[0]).unwrap()).unwrap();
    assert_eq!(back, found[0]);
}

#[test]
fn conditions_are_resolved_or_refused_with_their_place() {
    let items = json!([
        {"linkId": "q", "type": "choice", "answerOption": [{"valueCoding": {"code": "yes"}}]},
        {"linkId": "n", "type": "integer"},
        {"linkId": "g", "type": "group", "item": [
            {"linkId": "x", "type": "string", "enableBehavior": "all", "enableWhen": [
                {"question": "nowhere", "operator": "=", "answerBoolean": true},
                {"question": "q", "operator": "~", "answerCoding": {"code": "yes"}},
                {"question": "q", "operator": "=", "answerCoding": {"code": "no"}},
                {"question": "q", "operator": ">", "answerCoding": {"code": "yes"}},
                {"question": "n", "operator": "=", "answerString": "1"},
                {"question": "n", "operator": "exists", "answerInteger": 1},
                {"question": "n", "operator": "="},
                {"question": "g", "operator": "exists", "answerBoolean": true},
                {"question": "n", "operator": ">=", "answerInteger": 1}
            ]}
        ]},
        {"linkId": "y", "type": "string", "enableWhen": [
            {"question": "n", "operator": "exists", "answerBoolean": true},
            {"question": "n", "operator": "!=", "answerInteger": 3}]},
    ]);
    let expected = [
        // Two conditions need to say how they are combined.
        found("item[3].enableBehavior", Rule::Required),
        found("item[2].item[0].enableWhen[0].question", Rule::EnableWhen),
        found("item[2].item[0].enableWhen[1].operator", Rule::EnableWhen),
        found("item[2].item[0].enableWhen[2].answer", Rule::IllegalOption),
        found("item[2].item[0].enableWhen[3].answer", Rule::EnableWhen),
        found("item[2].item[0].enableWhen[4].answer", Rule::Type),
        found("item[2].item[0].enableWhen[5].answer", Rule::EnableWhen),
        found("item[2].item[0].enableWhen[6]", Rule::EnableWhen),
        found("item[2].item[0].enableWhen[7].question", Rule::EnableWhen),
    ];
    assert_eq!(problems(items), expected);
}

#[test]
fn items_that_enable_each_other_in_a_circle_are_named() {
    let when = |question: &str| json!([{"question": question, "operator": "exists", "answerBoolean": true}]);
    let items = json!([
        {"linkId": "free", "type": "boolean"},
        {"linkId": "a", "type": "boolean", "enableWhen": when("b")},
        {"linkId": "b", "type": "boolean", "enableWhen": when("a")},
        {"linkId": "after", "type": "boolean", "enableWhen": when("b")},
        {"linkId": "self", "type": "boolean", "enableWhen": when("self")},
        {"linkId": "g", "type": "group", "enableWhen": when("inner"), "item": [{"linkId": "inner", "type": "boolean"}]},
        {"linkId": "before", "type": "boolean", "enableWhen": when("free")},
    ]);
    let places = [
        "item[1].enableWhen[0].question",
        "item[2].enableWhen[0].question",
        "item[4].enableWhen[0].question",
        "item[5].enableWhen[0].question",
    ];
    assert_eq!(
        problems(items),
        places.map(|place| found(place, Rule::Cycle))
    );
}

#[test]
fn limits_of_depth_and_of_reported_problems_hold() {
    let mut item = json!({"linkId": "leaf", "type": "string"});
    for level in 0..200 {
        item = json!({"linkId": format!("g{level}"), "type": "group", "item": [item]});
    }
    let found = problems(json!([item]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, Rule::Limit);
    assert_eq!(found[0].0.matches("item").count(), MAX_DEPTH + 1);
    let many: Vec<Value> = (0..5000)
        .map(|_| json!({"linkId": "x", "type": "nothing"}))
        .collect();
    let found = problems(json!(many));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100].1, Rule::Limit);
}

#[test]
fn a_scoring_declaration_must_fit_its_algorithm() {
    let mut phq9: Value = serde_json::from_str(shipped()[0].json).unwrap();
    let check = |json: &Value| -> Vec<(String, Rule)> {
        Questionnaire::parse(json)
            .unwrap_err()
            .into_iter()
            .map(|problem| (problem.path, problem.rule))
            .collect()
    };
    // An option that counts 9, as a code for "refused" would, could be summed.
    phq9["item"][1]["answerOption"][3]["extension"][0]["valueDecimal"] = json!(9);
    phq9["item"][2]["repeats"] = json!(true);
    phq9["item"][10]["readOnly"] = json!(false);
    assert_eq!(
        check(&phq9),
        [
            found("extension[0].extension[1]", Rule::Scoring),
            found("extension[0].extension[2]", Rule::Scoring),
            found("extension[0].extension[10]", Rule::Scoring)
        ]
    );
    let mut phq9: Value = serde_json::from_str(shipped()[0].json).unwrap();
    phq9["extension"][0]["extension"][9] = json!({"url": "item", "valueString": "/44250-9"});
    assert_eq!(
        check(&phq9),
        [found("extension[0].extension[9]", Rule::Duplicate)]
    );
    phq9["extension"][0]["extension"][9] = json!({"url": "item", "valueString": "nowhere"});
    assert_eq!(
        check(&phq9),
        [found("extension[0].extension[9]", Rule::Scoring)]
    );
    phq9["extension"][0]["extension"][9] = json!({"url": "other", "valueString": "ignored"});
    assert_eq!(check(&phq9), [found("extension[0]", Rule::Scoring)]);
    phq9["extension"][0]["extension"][0]["valueString"] = json!("phq9/2");
    assert!(
        Questionnaire::parse(&phq9).unwrap_err()[0]
            .expected
            .contains("phq9/1, phq8/1, gad7/1")
    );
}
