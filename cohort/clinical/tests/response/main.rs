//! Checking responses: each rule, the logic of conditions and requirements, and what is never repeated.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod conditions;
mod kit;

use clinical::instrument::{
    AnswerValue, MAX_RESPONSE_ITEMS, Problem, Questionnaire, Rule, check, questionnaire_of,
};
use serde_json::{Value, json};

use kit::{ID, accepted, answer, compile, found, pairs, response, when};

#[test]
fn the_header_is_read_and_its_faults_come_together() {
    let questionnaire = compile(json!([{"linkId": "a", "type": "boolean"}]));
    let checked = accepted(&questionnaire, json!([]));
    let header = checked.header();
    assert_eq!(header.id, ID.to_lowercase());
    assert_eq!(
        (header.subject_id.as_str(), header.language.as_deref()),
        ("s-1", Some("en"))
    );
    assert_eq!(
        header.authored.as_deref(),
        Some("2024-05-01T08:00:00+08:00")
    );
    assert_eq!(
        questionnaire_of(&response(json!([]))).unwrap(),
        ("urn:test:q", "1")
    );

    let bad = json!({
        "resourceType": "Observation", "id": "42", "status": "in-progress", "questionnaire": "urn:test:q",
        "subject": {"reference": "Patient/a b"}, "authored": "2024-02-30T08:00:00Z", "modifierExtension": [],
        "item": [{"linkId": "a", "answer": [{"valueString": "x"}]}]
    });
    let problems = check(&questionnaire, &bad).unwrap_err();
    let expected = pairs([
        ("resourceType", Rule::Type),
        ("modifierExtension", Rule::Unsupported),
        ("status", Rule::Status),
        ("questionnaire", Rule::Format),
        ("id", Rule::Format),
        ("subject.reference", Rule::Format),
        ("authored", Rule::Date),
        ("item[0].answer[0]", Rule::Type),
    ]);
    assert_eq!(
        problems
            .iter()
            .map(|problem| (problem.path.clone(), problem.rule))
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(questionnaire_of(&bad).unwrap_err().len(), 7);

    let bare = check(
        &questionnaire,
        &json!({"resourceType": "QuestionnaireResponse"}),
    )
    .unwrap_err();
    let expected = pairs([
        ("status", Rule::Status),
        ("questionnaire", Rule::Required),
        ("id", Rule::Required),
        ("subject.reference", Rule::Required),
    ]);
    assert_eq!(
        bare.into_iter()
            .map(|problem| (problem.path, problem.rule))
            .collect::<Vec<_>>(),
        expected
    );
    for not_an_object in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(
            check(&questionnaire, &not_an_object).unwrap_err()[0].rule,
            Rule::Type
        );
        assert_eq!(
            questionnaire_of(&not_an_object).unwrap_err()[0].rule,
            Rule::Type
        );
    }
}

/// The answers of a subject are kept apart from who it is.
#[test]
fn names_and_numbers_of_persons_are_refused_unread() {
    let secret = "Zhang San 11010519491231002X";
    let questionnaire = compile(json!([{"linkId": "a", "type": "boolean"}]));
    let mut named = response(json!([]));
    named["subject"]["type"] = json!("Patient");
    named["author"] = json!({"reference": "Practitioner/p-1"});
    named["source"] = json!({"reference": "Patient/s-1"});
    check(&questionnaire, &named).unwrap();
    named["subject"]["display"] = json!(secret);
    named["author"]["identifier"] = json!({"value": secret});
    named["source"]["display"] = json!(secret);
    named["contained"] = json!([{"resourceType": "Patient", "name": [{"text": secret}]}]);
    let problems = check(&questionnaire, &named).unwrap_err();
    assert!(!format!("{problems:?}").contains("Zhang"), "{problems:?}");
    let places: Vec<&str> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    let expected = [
        "contained",
        "subject.display",
        "author.identifier",
        "source.display",
    ];
    assert_eq!(places, expected);
    assert!(
        problems
            .iter()
            .all(|problem| problem.rule == Rule::Unsupported)
    );
}

/// A response is stored as it was received, so nothing may be in it that nobody knows of.
#[test]
fn r_34_members_that_fhir_does_not_have_are_refused_unread() {
    let questionnaire = compile(json!([
        {"linkId": "c", "type": "choice", "answerOption": [{"valueCoding": {"code": "a"}}]},
        {"linkId": "g", "type": "group", "item": [{"linkId": "s", "type": "string"}]},
    ]));
    let known = json!({"id": "x", "extension": [{"url": "urn:x", "valueString": "of others"}]});
    let mut whole = response(json!([
        {"linkId": "c", "text": "Which?", "answer": [
            {"valueCoding": {"code": "a", "display": "Alpha", "userSelected": true}, "_valueCoding": known}]},
        {"linkId": "g", "definition": "urn:g", "_linkId": known,
         "item": [answer("s", json!({"valueString": "free"}))]},
    ]));
    whole["meta"] = json!({"profile": ["urn:p"]});
    whole["_status"] = known.clone();
    whole["subject"]["type"] = json!("Patient");
    check(&questionnaire, &whole).unwrap();

    let secret = "Zhang San 11010519491231002X";
    for (place, told) in [
        ("", ""),
        ("/subject", "subject"),
        ("/item/0", "item[0]"),
        ("/item/0/answer/0", "item[0].answer[0]"),
        (
            "/item/0/answer/0/valueCoding",
            "item[0].answer[0].valueCoding",
        ),
        ("/item/1/item/0", "item[1].item[0]"),
    ] {
        for (name, value) in [
            ("name", json!(secret)),
            (secret, json!({"given": [secret]})),
        ] {
            let mut given = whole.clone();
            given.pointer_mut(place).unwrap()[name] = value;
            let problems = check(&questionnaire, &given).unwrap_err();
            assert_eq!(problems.len(), 1, "{place}: {problems:?}");
            assert_eq!(problems[0].path, told);
            assert_eq!(problems[0].rule, Rule::Unsupported);
            assert!(!format!("{problems:?}").contains("Zhang"), "{problems:?}");
        }
    }
    whole["text"] = json!({"status": "generated", "div": format!("<div>{secret}</div>")});
    let problems = check(&questionnaire, &whole).unwrap_err();
    assert_eq!(problems[0].path, "text");
    assert!(!format!("{problems:?}").contains("Zhang"), "{problems:?}");
}

#[test]
fn only_completed_responses_to_this_version_in_use_are_taken() {
    let questionnaire = compile(json!([{"linkId": "a", "type": "boolean"}]));
    for status in [
        "in-progress",
        "amended",
        "entered-in-error",
        "stopped",
        "",
        "COMPLETED",
    ] {
        let mut given = response(json!([]));
        given["status"] = json!(status);
        assert_eq!(
            check(&questionnaire, &given).unwrap_err()[0].rule,
            Rule::Status,
            "{status}"
        );
    }
    let mut given = response(json!([]));
    given["questionnaire"] = json!("urn:test:q|2");
    let problem = check(&questionnaire, &given).unwrap_err().remove(0);
    assert_eq!(
        (problem.rule, problem.expected.as_str()),
        (Rule::Questionnaire, "urn:test:q|1")
    );
    let retired = json!({"resourceType": "Questionnaire", "url": "urn:test:q", "version": "1", "status": "retired",
        "item": [{"linkId": "a", "type": "boolean"}]});
    let retired = Questionnaire::parse(&retired).unwrap();
    assert_eq!(
        check(&retired, &response(json!([]))).unwrap_err()[0].rule,
        Rule::Questionnaire
    );
}

#[test]
fn r_31_each_type_takes_its_own_values_only() {
    let questionnaire = compile(json!([
        {"linkId": "i", "type": "integer"}, {"linkId": "n", "type": "decimal"}, {"linkId": "b", "type": "boolean"},
        {"linkId": "d", "type": "date"}, {"linkId": "s", "type": "string"}, {"linkId": "t", "type": "text"},
        {"linkId": "c", "type": "choice", "answerOption": [{"valueCoding": {"code": "x"}}]},
        {"linkId": "ci", "type": "choice", "answerOption": [{"valueInteger": 1}]},
        {"linkId": "cs", "type": "choice", "answerOption": [{"valueString": "x"}]},
    ]));
    let values = [
        ("Integer", json!(1), "i ci"),
        ("Integer", json!(2_147_483_648_i64), ""),
        ("Integer", json!(1.0), ""),
        ("Integer", json!("1"), ""),
        ("Decimal", json!(1.5), "n"),
        ("Decimal", json!(1), "n"),
        ("Boolean", json!(true), "b"),
        ("Boolean", json!("true"), ""),
        ("Date", json!("2024-02-29"), "d"),
        ("Date", json!("2024-02"), "d"),
        ("Date", json!("2023-02-29"), ""),
        ("DateTime", json!("2024-02-29T00:00:00Z"), ""),
        ("String", json!("x"), "s t cs"),
        ("String", json!("  "), ""),
        ("String", json!(1), ""),
        ("Coding", json!({"code": "x"}), "c"),
        ("Coding", json!({"code": "y"}), ""),
        ("Coding", json!("x"), ""),
        ("Quantity", json!({"value": 1}), ""),
    ];
    for (kind, value, takers) in values {
        for item in questionnaire.items() {
            let given = response(json!([answer(
                &item.link_id,
                json!({format!("value{kind}"): value})
            )]));
            let taken = check(&questionnaire, &given).is_ok();
            assert_eq!(
                taken,
                takers.split(' ').any(|taker| taker == item.link_id),
                "{kind} {value} for {}",
                item.link_id
            );
        }
    }
}

#[test]
fn codings_match_by_code_and_system_or_without_code_by_display() {
    let questionnaire = compile(json!([
        {"linkId": "c", "type": "choice", "answerOption": [
            {"valueCoding": {"system": "s1", "code": "a", "display": "Alpha"}},
            {"valueCoding": {"system": "s2", "code": "a", "display": "Other"}},
            {"valueCoding": {"code": "b", "display": "Beta"}}]},
        {"linkId": "o", "type": "open-choice", "maxLength": 5, "answerOption": [{"valueCoding": {"code": "x"}}]},
    ]));
    let option = |coding: Value| {
        let given = response(json!([answer("c", json!({"valueCoding": coding}))]));
        check(&questionnaire, &given)
            .map(|checked| checked.collected()[0].1.clone())
            .map_err(|problems| problems[0].rule)
    };
    assert_eq!(
        option(json!({"system": "s2", "code": "a"})),
        Ok(AnswerValue::Option(1))
    );
    assert_eq!(
        option(json!({"code": "b", "display": "贝塔"})),
        Ok(AnswerValue::Option(2))
    );
    assert_eq!(
        option(json!({"display": "Alpha"})),
        Ok(AnswerValue::Option(0))
    );
    for illegal in [
        json!({"code": "a"}), // Two systems have it.
        json!({"system": "s3", "code": "a"}),
        json!({"system": "s1", "code": "b"}),
        json!({"display": "alpha"}),
        json!({"code": "z", "display": "Alpha"}),
        json!({"code": 1, "display": "Alpha"}),
        json!({}),
    ] {
        assert_eq!(
            option(illegal.clone()),
            Err(Rule::IllegalOption),
            "{illegal}"
        );
    }
    let open = |value: Value| check(&questionnaire, &response(json!([answer("o", value)])));
    assert!(open(json!({"valueString": "other"})).is_ok());
    assert!(open(json!({"valueCoding": {"code": "x"}})).is_ok());
    assert_eq!(
        open(json!({"valueString": "longer"})).unwrap_err()[0].rule,
        Rule::MaxLength
    );
    assert_eq!(
        open(json!({"valueCoding": {"code": "y"}})).unwrap_err()[0].rule,
        Rule::IllegalOption
    );
}

#[test]
fn r_31_limits_are_checked_on_both_sides() {
    let bounds = |kind: &str, minimum: Value, maximum: Value| {
        json!([{"url": "http://hl7.org/fhir/StructureDefinition/minValue", format!("value{kind}"): minimum},
               {"url": "http://hl7.org/fhir/StructureDefinition/maxValue", format!("value{kind}"): maximum}])
    };
    let questionnaire = compile(json!([
        {"linkId": "i", "type": "integer", "extension": bounds("Integer", json!(0), json!(10))},
        {"linkId": "n", "type": "decimal", "extension": bounds("Decimal", json!(35.5), json!(42))},
        {"linkId": "d", "type": "date", "extension": bounds("Date", json!("2020-03-15"), json!("2020"))},
        {"linkId": "s", "type": "string", "maxLength": 3},
    ]));
    let rule = |link_id: &str, value: Value| {
        check(&questionnaire, &response(json!([answer(link_id, value)])))
            .map(|_| ())
            .map_err(|problems| problems[0].rule)
    };
    for (value, expected) in [
        (0, Ok(())),
        (10, Ok(())),
        (-1, Err(Rule::Minimum)),
        (11, Err(Rule::Maximum)),
    ] {
        assert_eq!(
            rule("i", json!({"valueInteger": value})),
            expected,
            "{value}"
        );
    }
    for (value, expected) in [
        (35.5, Ok(())),
        (35.4, Err(Rule::Minimum)),
        (42.1, Err(Rule::Maximum)),
    ] {
        assert_eq!(
            rule("n", json!({"valueDecimal": value})),
            expected,
            "{value}"
        );
    }
    // A partial date is refused only when none of its days fits.
    for (value, expected) in [
        ("2020-03", Ok(())),
        ("2020", Ok(())),
        ("2020-12-31", Ok(())),
        ("2020-03-14", Err(Rule::Minimum)),
        ("2020-02", Err(Rule::Minimum)),
        ("2021", Err(Rule::Maximum)),
    ] {
        assert_eq!(rule("d", json!({"valueDate": value})), expected, "{value}");
    }
    // Characters are counted, not bytes.
    assert_eq!(rule("s", json!({"valueString": "三个字"})), Ok(()));
    assert_eq!(
        rule("s", json!({"valueString": "四个汉字"})),
        Err(Rule::MaxLength)
    );
}

#[test]
fn r_31_the_structure_must_be_that_of_the_questionnaire() {
    let questionnaire = compile(json!([
        {"linkId": "g", "type": "group", "item": [{"linkId": "a", "type": "integer"}]},
        {"linkId": "m", "type": "integer", "repeats": true},
        {"linkId": "q", "type": "boolean", "item": [{"linkId": "below", "type": "string"}]},
        {"linkId": "d", "type": "display", "text": "x"},
    ]));
    let one = |value: i64| json!({"valueInteger": value});
    assert_eq!(
        found(
            &questionnaire,
            json!([
                answer("nobody knows me", one(1)),
                answer("a", one(1)),
                {"linkId": "g", "answer": [one(1)]},
                {"linkId": "g", "item": [answer("a", one(1)), answer("a", one(2))]},
                answer("m", json!({})),
                answer("m", json!({"valueInteger": 1, "valueString": "x"})),
                {"linkId": "q", "item": [answer("below", json!({"valueString": "x"}))]},
                {"linkId": "d", "answer": [one(1)]},
                {"answer": []},
                7
            ])
        ),
        pairs([
            ("item[0].linkId", Rule::UnknownItem),
            ("item[1]", Rule::MisplacedItem),
            ("item[2].answer", Rule::Structure),
            ("item[3]", Rule::TooMany),
            ("item[3].item[1]", Rule::Duplicate),
            ("item[4].answer[0]", Rule::Required),
            ("item[5]", Rule::Duplicate),
            ("item[5].answer[0]", Rule::Structure),
            ("item[6].item", Rule::Structure),
            ("item[7].answer", Rule::Structure),
            ("item[8].linkId", Rule::Required),
            ("item[9]", Rule::Type),
        ])
    );
    let checked = accepted(
        &questionnaire,
        json!([
            {"linkId": "m", "answer": [one(1), one(2)]},
            {"linkId": "q", "answer": [{"valueBoolean": true, "item": [answer("below", json!({"valueString": "x"}))]}]},
            {"linkId": "d"},
            {"linkId": "g", "item": []}
        ]),
    );
    let many: Vec<&AnswerValue> = checked.answers(questionnaire.find("m").unwrap()).collect();
    assert_eq!(many, [&AnswerValue::Integer(1), &AnswerValue::Integer(2)]);
    assert_eq!(
        checked
            .answers(questionnaire.find("below").unwrap())
            .count(),
        1
    );
    assert_eq!(checked.answers(questionnaire.find("a").unwrap()).count(), 0);
    let twice =
        json!([{"linkId": "q", "answer": [{"valueBoolean": true}, {"valueBoolean": false}]}]);
    assert_eq!(
        found(&questionnaire, twice),
        pairs([("item[0].answer", Rule::TooMany)])
    );
}

#[test]
fn r_31_required_items_are_demanded_where_they_are_enabled() {
    let questionnaire = compile(json!([
        {"linkId": "top", "type": "integer", "required": true},
        {"linkId": "g", "type": "group", "item": [
            {"linkId": "in", "type": "string", "required": true},
            {"linkId": "deep", "type": "group", "item": [{"linkId": "inmost", "type": "string", "required": true}]}]},
        {"linkId": "rep", "type": "group", "repeats": true, "item": [{"linkId": "each", "type": "string", "required": true}]},
        {"linkId": "must", "type": "group", "required": true, "item": [{"linkId": "any", "type": "string"}]},
        {"linkId": "q", "type": "boolean", "item": [{"linkId": "why", "type": "string", "required": true}]},
    ]));
    assert_eq!(
        found(&questionnaire, json!([])),
        pairs([
            ("item", Rule::Required),
            ("item", Rule::Required),
            ("item", Rule::Required),
            ("item", Rule::Required)
        ])
    );
    let named: Vec<Option<String>> = check(&questionnaire, &response(json!([])))
        .unwrap_err()
        .into_iter()
        .map(|problem| problem.link_id)
        .collect();
    assert_eq!(
        named,
        ["top", "in", "inmost", "must"].map(|link_id| Some(link_id.to_owned()))
    );
    assert_eq!(
        found(
            &questionnaire,
            json!([
                {"linkId": "top"},
                {"linkId": "g", "item": [{"linkId": "in", "answer": []}]},
                {"linkId": "rep", "item": []},
                {"linkId": "rep", "item": [answer("each", json!({"valueString": "x"}))]},
                {"linkId": "must", "item": [{"linkId": "any"}]},
                answer("q", json!({"valueBoolean": false}))
            ])
        ),
        pairs([
            ("item[0]", Rule::Required),
            ("item[4]", Rule::Required),
            ("item[1].item[0]", Rule::Required),
            ("item[1].item", Rule::Required),
            ("item[2].item", Rule::Required),
            ("item[5].item", Rule::Required),
        ])
    );
}

#[test]
fn an_answer_that_was_refused_is_not_called_missing_too() {
    let questionnaire = compile(json!([
        {"linkId": "q", "type": "integer", "required": true},
        {"linkId": "next", "type": "string", "required": true, "enableWhen": when("q", ">", "Integer", json!(3))},
    ]));
    let items = json!([answer("q", json!({"valueString": "many"}))]);
    assert_eq!(
        found(&questionnaire, items),
        pairs([("item[0].answer[0]", Rule::Type)])
    );
}

#[test]
fn r_34_problems_never_repeat_what_was_answered() {
    let questionnaire = compile(json!([
        {"linkId": "c", "type": "choice", "answerOption": [{"valueCoding": {"code": "a", "display": "Alpha"}}]},
        {"linkId": "e", "type": "choice", "answerOption": [{"valueCoding": {"code": "b", "display": "Beta"}}]},
        {"linkId": "i", "type": "integer"}, {"linkId": "d", "type": "date"},
        {"linkId": "s", "type": "string", "maxLength": 2},
    ]));
    let secret = "Zhang San 11010519491231002X";
    let mut given = response(json!([
        answer(
            "c",
            json!({"valueCoding": {"code": secret, "display": secret}})
        ),
        answer("e", json!({"valueCoding": {"display": "Alpha"}})),
        answer("i", json!({"valueInteger": secret})),
        answer("d", json!({"valueDate": secret})),
        answer("s", json!({"valueString": secret})),
        answer(secret, json!({"valueString": secret})),
        answer("s", json!({format!("value{secret}"): 1})),
    ]));
    for member in ["id", "status", "authored", "questionnaire"] {
        given[member] = json!(secret);
    }
    given["subject"]["reference"] = json!(secret);
    let problems: Vec<Problem> = check(&questionnaire, &given).unwrap_err();
    assert!(problems.len() >= 11, "{problems:?}");
    let told = serde_json::to_string(&problems).unwrap() + &format!("{problems:?}");
    assert!(
        !told.contains("Zhang") && !told.contains("110105"),
        "{told}"
    );
    // An option of another item is the questionnaire's own text, and helps to see the mistake.
    assert!(
        told.contains("one of b (Beta); a (Alpha) is an option of another item"),
        "{told}"
    );
}

#[test]
fn the_number_of_items_is_bounded() {
    let questionnaire = compile(
        json!([{"linkId": "g", "type": "group", "repeats": true, "item": [{"linkId": "a", "type": "boolean"}]}]),
    );
    let many: Vec<Value> = (0..=MAX_RESPONSE_ITEMS)
        .map(|_| json!({"linkId": "g", "item": []}))
        .collect();
    let place = format!("item[{MAX_RESPONSE_ITEMS}]");
    assert_eq!(
        found(&questionnaire, json!(many)),
        pairs([(place.as_str(), Rule::Limit)])
    );
    assert!(check(&questionnaire, &response(json!(&many[1..]))).is_ok());
}
