//! Which items are enabled, by the conditions of their questionnaire.

use clinical::instrument::{AnswerValue, Rule, check};
use serde_json::{Value, json};

use crate::kit::{accepted, answer, compile, found, pairs, response, when};

/// Whether an item with this condition on a question of type `kind` is demanded after these answers.
fn shown(kind: &str, condition: &Value, answers: &Value) -> bool {
    let options = match kind {
        "choice" => json!([{"valueCoding": {"code": "a"}}, {"valueCoding": {"code": "b"}}]),
        _ => json!([]),
    };
    let questionnaire = compile(json!([
        {"linkId": "q", "type": kind, "repeats": true, "answerOption": options},
        {"linkId": "shown", "type": "boolean", "required": true, "enableWhen": condition},
    ]));
    match check(
        &questionnaire,
        &response(json!([{"linkId": "q", "answer": answers}])),
    ) {
        Ok(_) => false,
        Err(problems) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].link_id.as_deref(), Some("shown"));
            true
        }
    }
}

/// Each operator against fitting, other, several and no answers.
#[test]
fn r_31_conditions_follow_the_standards_operators() {
    let whole = |values: &[i64]| {
        Value::Array(
            values
                .iter()
                .map(|value| json!({"valueInteger": value}))
                .collect(),
        )
    };
    let table: [(&str, i64, &[i64], bool); 17] = [
        ("=", 3, &[3], true),
        ("=", 3, &[1, 3], true),
        ("=", 3, &[4], false),
        ("=", 3, &[], false),
        ("!=", 3, &[4], true),
        ("!=", 3, &[3], false),
        ("!=", 3, &[3, 4], false),
        ("!=", 3, &[], false),
        (">", 3, &[3], false),
        (">", 3, &[1, 4], true),
        (">", 3, &[], false),
        ("<", 3, &[2], true),
        ("<", 3, &[3], false),
        (">=", 3, &[3], true),
        (">=", 3, &[2], false),
        ("<=", 3, &[3], true),
        ("<=", 3, &[4], false),
    ];
    for (operator, expected, answers, result) in table {
        let condition = when("q", operator, "Integer", json!(expected));
        assert_eq!(
            shown("integer", &condition, &whole(answers)),
            result,
            "{answers:?} {operator} {expected}"
        );
    }
    let exists: [(bool, &[i64], bool); 4] = [
        (true, &[1], true),
        (true, &[], false),
        (false, &[1], false),
        (false, &[], true),
    ];
    for (expected, answers, result) in exists {
        let condition = when("q", "exists", "Boolean", json!(expected));
        assert_eq!(
            shown("integer", &condition, &whole(answers)),
            result,
            "{answers:?} exists {expected}"
        );
    }
}

#[test]
fn r_31_conditions_compare_codes_decimals_and_texts() {
    let coded = when("q", "=", "Coding", json!({"code": "a"}));
    assert!(shown(
        "choice",
        &coded,
        &json!([{"valueCoding": {"code": "a"}}])
    ));
    assert!(!shown(
        "choice",
        &coded,
        &json!([{"valueCoding": {"code": "b"}}])
    ));
    let less = when("q", "<", "Decimal", json!(1.5));
    assert!(shown("decimal", &less, &json!([{"valueDecimal": 1.25}])));
    assert!(!shown("decimal", &less, &json!([{"valueDecimal": 1.5}])));
    let text = when("q", "!=", "String", json!("never"));
    assert!(shown("string", &text, &json!([{"valueString": "often"}])));
    assert!(!shown("string", &text, &json!([{"valueString": "never"}])));
}

/// Partial dates hold only where every day they may stand for does.
#[test]
fn r_31_conditions_on_partial_dates_hold_only_when_they_certainly_do() {
    for (operator, given, result) in [
        (">", "2024-03", true),
        (">", "2024", false),
        ("<", "2024", false),
        ("<", "2023", true),
        ("=", "2024-02", true),
        ("=", "2024-02-01", false),
        ("!=", "2024-02-01", false),
        ("!=", "2024-03", true),
        (">=", "2024-02", true),
        ("<=", "2024-02-01", false),
    ] {
        let condition = when("q", operator, "Date", json!("2024-02"));
        assert_eq!(
            shown("date", &condition, &json!([{"valueDate": given}])),
            result,
            "{given} {operator} 2024-02"
        );
    }
}

#[test]
fn r_31_several_conditions_are_combined_as_declared() {
    for (behavior, three, thirty) in [("all", false, false), ("any", true, true)] {
        let questionnaire = compile(json!([
            {"linkId": "q", "type": "integer"}, {"linkId": "r", "type": "integer"},
            {"linkId": "shown", "type": "boolean", "required": true, "enableBehavior": behavior, "enableWhen": [
                {"question": "q", "operator": "<", "answerInteger": 10}, {"question": "r", "operator": ">", "answerInteger": 20}]},
        ]));
        let shown = |q: i64, r: i64| {
            let items = json!([
                answer("q", json!({"valueInteger": q})),
                answer("r", json!({"valueInteger": r}))
            ]);
            check(&questionnaire, &response(items)).is_err()
        };
        assert_eq!((shown(3, 3), shown(30, 30)), (three, thirty));
        assert!(shown(3, 30));
        assert!(!shown(30, 3));
    }
}

#[test]
fn r_31_a_disabled_answer_counts_for_nothing_and_is_reported_as_not_collected() {
    let questionnaire = compile(json!([
        {"linkId": "smokes", "type": "boolean"},
        {"linkId": "much", "type": "integer", "required": true, "enableWhen": when("smokes", "=", "Boolean", json!(true)),
         "item": [{"linkId": "since", "type": "date"}]},
        {"linkId": "quit", "type": "boolean", "required": true, "enableWhen": when("much", ">", "Integer", json!(20))},
        {"linkId": "g", "type": "group", "enableWhen": when("smokes", "=", "Boolean", json!(true)),
         "item": [{"linkId": "brand", "type": "string", "required": true}]},
    ]));
    let items = json!([
        answer("smokes", json!({"valueBoolean": false})),
        {"linkId": "much", "answer": [{"valueInteger": 40, "item": [answer("since", json!({"valueDate": "1999"}))]}]},
        {"linkId": "g", "item": [answer("brand", json!({"valueString": "old"}))]}
    ]);
    // The hidden 40 does not ask for `quit`, and nothing hidden is demanded.
    let checked = accepted(&questionnaire, items);
    assert_eq!(checked.not_collected(), ["much", "since", "brand"]);
    assert_eq!(
        checked.collected(),
        [(
            questionnaire.find("smokes").unwrap(),
            AnswerValue::Boolean(false)
        )]
    );
    let smoker = json!([
        answer("smokes", json!({"valueBoolean": true})),
        answer("much", json!({"valueInteger": 40}))
    ]);
    assert_eq!(
        found(&questionnaire, smoker),
        pairs([("item", Rule::Required), ("item", Rule::Required)])
    );
}

#[test]
fn r_31_a_disabled_answer_must_still_be_of_its_type() {
    let questionnaire = compile(json!([
        {"linkId": "q", "type": "boolean"},
        {"linkId": "hidden", "type": "integer", "enableWhen": when("q", "=", "Boolean", json!(true))},
    ]));
    let items = json!([answer("hidden", json!({"valueInteger": "x"}))]);
    assert_eq!(
        found(&questionnaire, items),
        pairs([("item[0].answer[0]", Rule::Type)])
    );
}

#[test]
fn conditions_inside_a_repeating_group_look_at_their_own_repetition() {
    let questionnaire = compile(json!([
        {"linkId": "drug", "type": "group", "repeats": true, "item": [
            {"linkId": "taken", "type": "boolean", "required": true},
            {"linkId": "dose", "type": "integer", "required": true, "enableWhen": when("taken", "=", "Boolean", json!(true))}]},
        {"linkId": "last", "type": "string", "required": true, "enableWhen": when("taken", "=", "Boolean", json!(false))},
    ]));
    let taken = |value: bool| answer("taken", json!({"valueBoolean": value}));
    let dose = answer("dose", json!({"valueInteger": 5}));
    let items = json!([{"linkId": "drug", "item": [taken(true)]}, {"linkId": "drug", "item": [taken(false), dose]}]);
    // Outside, the nearest repetition before the item counts: the last one.
    assert_eq!(
        found(&questionnaire, items.clone()),
        pairs([("item", Rule::Required), ("item[0].item", Rule::Required)])
    );
    let items = json!([{"linkId": "drug", "item": [taken(false), dose]}, {"linkId": "drug", "item": [taken(true), dose]}]);
    let checked = accepted(&questionnaire, items);
    assert_eq!(checked.not_collected(), ["dose"]);
    assert_eq!(
        checked.answers(questionnaire.find("dose").unwrap()).count(),
        1
    );
    assert_eq!(
        checked
            .answers(questionnaire.find("taken").unwrap())
            .count(),
        2
    );
}

#[test]
fn an_item_below_an_answer_may_depend_on_it() {
    let questionnaire = compile(json!([
        {"linkId": "q", "type": "integer", "item": [
            {"linkId": "why", "type": "string", "required": true, "enableWhen": when("q", ">", "Integer", json!(5))}]},
    ]));
    let items = |value: i64| json!([answer("q", json!({"valueInteger": value}))]);
    assert_eq!(
        found(&questionnaire, items(6)),
        pairs([("item[0].item", Rule::Required)])
    );
    accepted(&questionnaire, items(5));
    accepted(&questionnaire, json!([]));
}
