//! Scores of the shipped instruments against published administrations and tables.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use clinical::instrument::{CheckedResponse, ItemKind, Questionnaire, Rule, check, shipped};
use clinical::scoring::{
    Alert, Band, Discrepancy, MissingRule, Scores, algorithm, algorithms, score,
};
use serde_json::{Value, json};

const DIFFICULTY: &str = "/69722-7";
const TOTAL: &str = "/44261-6";
const ITEM_9: &str = "/44260-8";

fn source(name: &str) -> Value {
    let shipped = shipped()
        .iter()
        .find(|shipped| shipped.name == name)
        .unwrap();
    serde_json::from_str(shipped.json).unwrap()
}

fn compiled(name: &str) -> Questionnaire {
    Questionnaire::parse(&source(name)).unwrap()
}

/// A questionnaire in which nothing is required.
fn relaxed(name: &str) -> Questionnaire {
    let mut json = source(name);
    for item in json["item"].as_array_mut().unwrap() {
        item["required"] = json!(false);
    }
    Questionnaire::parse(&json).unwrap()
}

/// A response whose scored items have the options with these scores; `None` leaves the item out.
fn answered(questionnaire: &Questionnaire, values: &[Option<i64>], more: &[Value]) -> Value {
    let scoring = &questionnaire.scorings()[0];
    assert_eq!(scoring.items().len(), values.len());
    let mut items: Vec<Value> = Vec::new();
    for (&index, value) in scoring.items().iter().zip(values) {
        let item = questionnaire.item(index);
        let Some(value) = value else { continue };
        #[expect(clippy::cast_precision_loss, reason = "scores are small")]
        let position = item
            .options
            .iter()
            .position(|option| option.score == Some(*value as f64));
        let code = position.map_or("none".to_owned(), |position| {
            match &item.options[position].value {
                clinical::instrument::OptionValue::Coding { code, .. } => code.clone(),
                other => panic!("not a coding: {other:?}"),
            }
        });
        items.push(json!({"linkId": item.link_id, "answer": [{"valueCoding": {"code": code}}]}));
    }
    items.extend_from_slice(more);
    json!({
        "resourceType": "QuestionnaireResponse", "id": "0190a3c4-7b1e-7c3a-9f00-0123456789ab", "status": "completed",
        "questionnaire": questionnaire.canonical(), "subject": {"reference": "Patient/s-1"}, "item": items
    })
}

fn claimed(value: i64) -> Value {
    json!({"linkId": TOTAL, "answer": [{"valueInteger": value}]})
}

fn scored(questionnaire: &Questionnaire, values: &[Option<i64>], more: &[Value]) -> Scores {
    let checked: CheckedResponse =
        check(questionnaire, &answered(questionnaire, values, more)).unwrap();
    score(questionnaire, &checked)
}

fn all(values: impl IntoIterator<Item = i64>) -> Vec<Option<i64>> {
    values.into_iter().map(Some).collect()
}

fn published_band(total: i64) -> &'static str {
    match total {
        0..=4 => "minimal",
        5..=9 => "mild",
        10..=14 => "moderate",
        15..=19 => "moderately severe",
        _ => "severe",
    }
}

/// The 30 administrations as they were published: 28 are stored, one of them with a wrong total.
#[test]
fn r_31_published_phq9_administrations_are_scored_or_refused() {
    let questionnaire = compiled("phq9");
    let mut reader = csv::Reader::from_reader(include_str!("vectors/phq9.csv").as_bytes());
    let (mut stored, mut refused, mut discrepancies, mut alerts) = (0, 0, Vec::new(), 0);
    for row in reader.records() {
        let row = row.unwrap();
        let items: Vec<i64> = (3..12).map(|column| row[column].parse().unwrap()).collect();
        let total: i64 = row[13].parse().unwrap();
        let difficulty =
            json!({"linkId": DIFFICULTY, "answer": [{"valueCoding": {"display": &row[12]}}]});
        let response = answered(
            &questionnaire,
            &all(items.iter().copied()),
            &[difficulty, claimed(total)],
        );
        let checked = match check(&questionnaire, &response) {
            Ok(checked) => checked,
            Err(problems) => {
                assert_eq!(&row[0], "CDISC014");
                assert_eq!(problems.len(), 1);
                assert_eq!(problems[0].place(), "item[9].answer[0] (/69722-7)");
                assert_eq!(
                    (problems[0].link_id.as_deref(), problems[0].rule),
                    (Some(DIFFICULTY), Rule::IllegalOption)
                );
                let expected = "one of LA6572-7 (Not difficult at all), LA6573-5 (Somewhat difficult), LA6575-0 (Very difficult), \
                                LA6574-3 (Extremely difficult); LA6568-5 (Not at all) is an option of another item";
                assert_eq!(problems[0].expected, expected);
                refused += 1;
                continue;
            }
        };
        let result = score(&questionnaire, &checked);
        let sum: i64 = items.iter().sum();
        assert_eq!(result.scores.len(), 1);
        let given = serde_json::to_value(&result.scores[0]).unwrap();
        assert_eq!(
            given,
            json!({"name": "phq9", "value": sum, "band": published_band(sum), "algorithm": "phq9/1", "missing": [],
                   "missingRule": "no-total-if-any-missing"})
        );
        assert_eq!(result.alerts.len(), usize::from(items[8] > 0));
        alerts += result.alerts.len();
        discrepancies.extend(
            result
                .discrepancies
                .into_iter()
                .map(|found| (row[0].to_owned(), found)),
        );
        stored += 1;
    }
    assert_eq!((stored, refused, alerts), (28, 2, 16));
    let wrong = Discrepancy {
        link_id: TOTAL.to_owned(),
        claimed: 27,
        computed: Some(26),
    };
    assert_eq!(discrepancies, [("CDISC004".to_owned(), wrong)]);
}

#[test]
fn r_31_the_standards_own_example_sums_to_10_and_not_to_the_13_it_claims() {
    let questionnaire = compiled("phq9");
    let result = scored(
        &questionnaire,
        &all([0, 0, 0, 1, 2, 1, 3, 2, 1]),
        &[claimed(13)],
    );
    assert_eq!(
        (result.scores[0].value, result.scores[0].band),
        (Some(10), Some(Band::Moderate))
    );
    assert_eq!(
        result.discrepancies,
        [Discrepancy {
            link_id: TOTAL.to_owned(),
            claimed: 13,
            computed: Some(10)
        }]
    );
}

#[test]
fn r_31_bands_change_exactly_at_the_published_totals() {
    let phq: [(i64, &str); 5] = [
        (0, "minimal"),
        (5, "mild"),
        (10, "moderate"),
        (15, "moderately severe"),
        (20, "severe"),
    ];
    let gad: [(i64, &str); 4] = [
        (0, "minimal"),
        (5, "mild"),
        (10, "moderate"),
        (15, "severe"),
    ];
    for (id, maximum, bands) in [
        ("phq9/1", 27, &phq[..]),
        ("phq8/1", 24, &phq[..]),
        ("gad7/1", 21, &gad[..]),
    ] {
        let algorithm = algorithm(id).unwrap();
        assert_eq!(algorithm.maximum(), maximum);
        for total in 0..=maximum {
            let expected = bands
                .iter()
                .rev()
                .find(|(lowest, _)| total >= *lowest)
                .unwrap()
                .1;
            assert_eq!(
                algorithm.band(total).unwrap().as_str(),
                expected,
                "{id} {total}"
            );
        }
        assert_eq!(
            (algorithm.band(-1), algorithm.band(maximum + 1)),
            (None, None)
        );
    }
    assert_eq!(algorithms().len(), 3);
    assert_eq!(algorithm("phq9"), None);
}

#[test]
fn r_31_gad7_and_phq8_published_vectors() {
    for (name, count, cases) in [
        (
            "gad7",
            7,
            [
                (0, 0, Band::Minimal),
                (1, 7, Band::Mild),
                (2, 14, Band::Moderate),
                (3, 21, Band::Severe),
            ],
        ),
        (
            "phq8",
            8,
            [
                (0, 0, Band::Minimal),
                (1, 8, Band::Mild),
                (2, 16, Band::ModeratelySevere),
                (3, 24, Band::Severe),
            ],
        ),
    ] {
        let questionnaire = compiled(name);
        for (each, total, band) in cases {
            let result = scored(&questionnaire, &all(std::iter::repeat_n(each, count)), &[]);
            assert_eq!(
                (result.scores[0].value, result.scores[0].band),
                (Some(total), Some(band)),
                "{name} {each}"
            );
            assert_eq!(result.scores[0].algorithm, format!("{name}/1"));
            assert!(result.alerts.is_empty());
        }
    }
}

#[test]
fn r_31_without_every_item_there_is_no_total() {
    let questionnaire = relaxed("phq9");
    let result = scored(
        &questionnaire,
        &[
            Some(3),
            None,
            Some(3),
            Some(3),
            Some(3),
            Some(3),
            Some(3),
            None,
            Some(0),
        ],
        &[claimed(18)],
    );
    let score = &result.scores[0];
    assert_eq!((score.value, score.band), (None, None));
    assert_eq!(score.missing, ["/44255-8", "/44253-3"]);
    assert_eq!(score.missing_rule, MissingRule::NoTotalIfAnyMissing);
    assert_eq!(
        result.discrepancies,
        [Discrepancy {
            link_id: TOTAL.to_owned(),
            claimed: 18,
            computed: None
        }]
    );
    assert!(result.alerts.is_empty());
}

#[test]
fn r_21_item_9_above_zero_alerts_whatever_the_total() {
    let questionnaire = relaxed("phq9");
    let mut alone = vec![None; 8];
    alone.push(Some(1));
    let alert = |value| Alert {
        kind: "phq9-item9".to_owned(),
        algorithm: "phq9/1".to_owned(),
        link_id: ITEM_9.to_owned(),
        value,
    };
    let result = scored(&questionnaire, &alone, &[]);
    assert_eq!(
        (result.scores[0].value, result.alerts),
        (None, vec![alert(1)])
    );
    for value in 0..=3 {
        let result = scored(&questionnaire, &all([0, 0, 0, 0, 0, 0, 0, 0, value]), &[]);
        let expected: Vec<Alert> = (value > 0).then(|| alert(value)).into_iter().collect();
        assert_eq!(
            (result.scores[0].value, result.alerts),
            (Some(value), expected)
        );
    }
}

/// Public data sets code "refused" as 7 and "don't know" as 9; neither is an option, so neither can be summed.
#[test]
fn r_31_codes_that_are_no_options_are_refused() {
    for name in ["phq9", "phq8", "gad7"] {
        let questionnaire = compiled(name);
        for code in ["7", "9", "4", "-1"] {
            let mut response = answered(
                &questionnaire,
                &vec![Some(0); questionnaire.scorings()[0].items().len()],
                &[],
            );
            response["item"][0]["answer"][0]["valueCoding"]["code"] = json!(code);
            let problems = check(&questionnaire, &response).unwrap_err();
            assert_eq!(
                (problems.len(), problems[0].rule),
                (1, Rule::IllegalOption),
                "{name} {code}"
            );
        }
    }
}

#[test]
fn r_31_a_claimed_total_alone_makes_no_score() {
    let questionnaire = relaxed("phq9");
    let result = scored(&questionnaire, &[None; 9], &[claimed(27)]);
    assert_eq!(
        (result.scores[0].value, result.scores[0].missing.len()),
        (None, 9)
    );
    assert_eq!(result.discrepancies.len(), 1);
}

#[test]
fn a_disabled_item_does_not_count() {
    let mut json = source("gad7");
    json["item"]
        .as_array_mut()
        .unwrap()
        .push(json!({"linkId": "asked", "type": "boolean"}));
    json["item"][1]["enableWhen"] =
        json!([{"question": "asked", "operator": "=", "answerBoolean": true}]);
    let questionnaire = Questionnaire::parse(&json).unwrap();
    let result = scored(&questionnaire, &[Some(3); 7], &[]);
    assert_eq!(
        (result.scores[0].value, &result.scores[0].missing[..]),
        (None, &["gad7_1".to_owned()][..])
    );
}

#[test]
fn shipped_instruments_compile_and_have_the_published_shape() {
    let shape: Vec<(&str, usize)> = shipped()
        .iter()
        .map(|shipped| {
            (
                shipped.name,
                compiled(shipped.name).scorings()[0].items().len(),
            )
        })
        .collect();
    assert_eq!(shape, [("phq9", 9), ("phq8", 8), ("gad7", 7)]);
    for shipped in shipped() {
        let questionnaire = compiled(shipped.name);
        assert_eq!(
            questionnaire.canonical(),
            format!("urn:cohort:questionnaire:{}|1.0.0", shipped.name)
        );
        let scoring = &questionnaire.scorings()[0];
        assert_eq!(scoring.algorithm().name, shipped.name);
        let total = questionnaire.item(scoring.total().unwrap());
        assert!(total.kind == ItemKind::Integer && total.read_only && !total.required);
        for &index in scoring.items() {
            let labels: Vec<String> = questionnaire
                .item(index)
                .options
                .iter()
                .map(|option| option.value.label())
                .collect();
            let ends = [
                "(Not at all)",
                "(Several days)",
                "(More than half the days)",
                "(Nearly every day)",
            ];
            assert_eq!(labels.len(), 4);
            for (label, end) in labels.iter().zip(ends) {
                assert!(label.ends_with(end), "{label}");
            }
        }
    }
    let phq9 = compiled("phq9");
    let difficulty = phq9.item(phq9.find(DIFFICULTY).unwrap());
    assert_eq!(difficulty.options.len(), 4);
    assert!(
        difficulty
            .options
            .iter()
            .all(|option| option.score.is_none())
    );
}

/// A known error of public copies: the lowest label of GAD-7 is "Not at all", never "Not at all sure".
#[test]
fn gad7_has_its_published_lowest_label() {
    let text = source("gad7").to_string();
    assert_eq!(text.matches("\"Not at all\"").count(), 7);
    assert!(!text.contains("Not at all sure"));
}

/// Instruments whose owners forbid redistribution must not come into this folder, whatever licence the copy bears.
#[test]
fn no_forbidden_instrument_is_shipped() {
    let forbidden = regex::RegexBuilder::new(
        r"\b(eq-?5d|eq-?vas|euroqol|sf-?36|sf-?12|promis|neuro-?qol|pro-?ctcae|isi|insomnia severity|hads|epds|edinburgh|eortc|qlq|fact-\w|bdi|beck|psqi|pittsburgh|moca|mmse|mini-mental|c-?ssrs|columbia|wemwbs|warwick)\b",
    )
    .case_insensitive(true)
    .build()
    .unwrap();
    assert!(
        forbidden.is_match("EQ-5D-5L")
            && forbidden.is_match("the HADS scale")
            && !forbidden.is_match("PHQ-9")
    );
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("instruments");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(forbidden.find(&name).is_none(), "{name}");
        assert!(
            forbidden.find(&text).is_none(),
            "{name}: {:?}",
            forbidden.find(&text)
        );
        seen += 1;
    }
    assert_eq!(seen, shipped().len() + 1);
}
