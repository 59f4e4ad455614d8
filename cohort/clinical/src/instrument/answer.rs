//! One answer: read as its item's type, matched with the options, held against the limits.

use serde_json::Value;

use super::{Bound, Item, ItemKind, OptionValue, PartialDate, Questionnaire, Rule};

/// A checked answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerValue {
    /// The option at this position of the item's options.
    Option(usize),
    /// A whole number.
    Integer(i64),
    /// A number.
    Decimal(f64),
    /// Yes or no.
    Boolean(bool),
    /// A date, possibly partial.
    Date(PartialDate),
    /// A text.
    Text(String),
}

/// Why a value is not an answer to its item.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) rule: Rule,
    pub(super) expected: String,
}

impl Refusal {
    fn new(rule: Rule, expected: impl Into<String>) -> Self {
        Self {
            rule,
            expected: expected.into(),
        }
    }
}

/// Reads a value of FHIR type `suffix` (as `Coding`, `Integer`) as an answer to an item.
pub(super) fn read_answer(
    item: &Item,
    suffix: &str,
    value: &Value,
) -> Result<AnswerValue, Refusal> {
    let wrong = || Refusal::new(Rule::Type, expected_type(item));
    match (item.kind, suffix) {
        (ItemKind::Choice | ItemKind::OpenChoice, _) => read_choice(item, suffix, value),
        (ItemKind::Integer, "Integer") => value
            .as_i64()
            .filter(|value| i32::try_from(*value).is_ok())
            .map(AnswerValue::Integer)
            .ok_or_else(wrong),
        (ItemKind::Decimal, "Decimal") => value
            .as_f64()
            .filter(|value| value.is_finite())
            .map(AnswerValue::Decimal)
            .ok_or_else(wrong),
        (ItemKind::Boolean, "Boolean") => {
            value.as_bool().map(AnswerValue::Boolean).ok_or_else(wrong)
        }
        (ItemKind::Date, "Date") => {
            let text = value.as_str().ok_or_else(wrong)?;
            PartialDate::parse(text)
                .map(AnswerValue::Date)
                .ok_or_else(|| {
                    Refusal::new(Rule::Date, "a real date as YYYY-MM-DD, YYYY-MM or YYYY")
                })
        }
        (ItemKind::String | ItemKind::Text, "String") => read_text(value).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// Holds an answer against the item's limits.
pub(super) fn check_limits(item: &Item, answer: &AnswerValue) -> Result<(), Refusal> {
    if let (AnswerValue::Text(text), Some(most)) = (answer, item.max_length)
        && text.chars().nth(most as usize).is_some()
    {
        return Err(Refusal::new(
            Rule::MaxLength,
            format!("at most {most} characters"),
        ));
    }
    if let Some(minimum) = &item.minimum
        && below(answer, minimum)
    {
        return Err(Refusal::new(
            Rule::Minimum,
            format!("{} or more", bound_text(minimum)),
        ));
    }
    if let Some(maximum) = &item.maximum
        && above(answer, maximum)
    {
        return Err(Refusal::new(
            Rule::Maximum,
            format!("{} or less", bound_text(maximum)),
        ));
    }
    Ok(())
}

/// The label of the option of any item that a refused value names. Such a value comes from the questionnaire's own
/// vocabulary, so that a problem may repeat it; anything else may be free text and is not repeated.
pub(super) fn foreign_option(
    questionnaire: &Questionnaire,
    suffix: &str,
    value: &Value,
) -> Option<String> {
    questionnaire
        .items()
        .iter()
        .flat_map(|item| &item.options)
        .find(|option| option_matches(&option.value, suffix, value))
        .map(|option| option.value.label())
}

fn read_choice(item: &Item, suffix: &str, value: &Value) -> Result<AnswerValue, Refusal> {
    let of_right_type = match suffix {
        "Coding" => value.is_object(),
        "Integer" => {
            value.is_i64()
                && item
                    .options
                    .iter()
                    .any(|option| matches!(option.value, OptionValue::Integer(_)))
        }
        "String" => {
            value.is_string()
                && (item.kind == ItemKind::OpenChoice
                    || item
                        .options
                        .iter()
                        .any(|option| matches!(option.value, OptionValue::Text(_))))
        }
        _ => false,
    };
    if !of_right_type {
        return Err(Refusal::new(Rule::Type, expected_type(item)));
    }
    let mut matching = item
        .options
        .iter()
        .enumerate()
        .filter(|(_, option)| option_matches(&option.value, suffix, value));
    match (matching.next(), matching.next()) {
        (Some((position, _)), None) => return Ok(AnswerValue::Option(position)),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                Rule::IllegalOption,
                format!(
                    "one option only: give system and code of {}",
                    options_text(item)
                ),
            ));
        }
        (None, _) => {}
    }
    if item.kind == ItemKind::OpenChoice && suffix == "String" {
        return read_text(value).ok_or_else(|| Refusal::new(Rule::Type, expected_type(item)));
    }
    Err(Refusal::new(Rule::IllegalOption, options_text(item)))
}

/// By code, and by system where the answer gives one; without a code by the exact display.
fn option_matches(option: &OptionValue, suffix: &str, value: &Value) -> bool {
    match option {
        OptionValue::Coding {
            system,
            code,
            display,
        } if suffix == "Coding" => {
            let given = |name: &str| value.get(name);
            if let Some(given_system) = given("system")
                && given_system.as_str() != system.as_deref()
            {
                return false;
            }
            match given("code") {
                Some(given_code) => given_code.as_str() == Some(code),
                None => {
                    display.is_some()
                        && given("display").and_then(Value::as_str) == display.as_deref()
                }
            }
        }
        OptionValue::Integer(number) => suffix == "Integer" && value.as_i64() == Some(*number),
        OptionValue::Text(text) => suffix == "String" && value.as_str() == Some(text),
        OptionValue::Coding { .. } => false,
    }
}

fn read_text(value: &Value) -> Option<AnswerValue> {
    value
        .as_str()
        .filter(|text| !text.trim().is_empty())
        .map(|text| AnswerValue::Text(text.to_owned()))
}

fn below(answer: &AnswerValue, minimum: &Bound) -> bool {
    match (answer, minimum) {
        (AnswerValue::Integer(answer), Bound::Integer(minimum)) => answer < minimum,
        (AnswerValue::Decimal(answer), Bound::Decimal(minimum)) => answer < minimum,
        (AnswerValue::Date(answer), Bound::Date(minimum)) => answer.latest() < minimum.earliest(),
        _ => false,
    }
}

fn above(answer: &AnswerValue, maximum: &Bound) -> bool {
    match (answer, maximum) {
        (AnswerValue::Integer(answer), Bound::Integer(maximum)) => answer > maximum,
        (AnswerValue::Decimal(answer), Bound::Decimal(maximum)) => answer > maximum,
        (AnswerValue::Date(answer), Bound::Date(maximum)) => answer.earliest() > maximum.latest(),
        _ => false,
    }
}

fn bound_text(bound: &Bound) -> String {
    match bound {
        Bound::Integer(value) => value.to_string(),
        Bound::Decimal(value) => value.to_string(),
        Bound::Date(value) => value.to_string(),
    }
}

fn expected_type(item: &Item) -> &'static str {
    match item.kind {
        ItemKind::Group | ItemKind::Display => "no answer",
        ItemKind::Choice => match item.options.first().map(|option| &option.value) {
            Some(OptionValue::Integer(_)) => "valueInteger, one of the options",
            Some(OptionValue::Text(_)) => "valueString, one of the options",
            _ => "valueCoding with the code of an option",
        },
        ItemKind::OpenChoice => {
            "one of the options, or another text as valueString that is not empty"
        }
        ItemKind::Integer => "valueInteger, a whole number of 32 bits",
        ItemKind::Decimal => "valueDecimal, a number",
        ItemKind::Boolean => "valueBoolean, true or false",
        ItemKind::Date => "valueDate, a date as YYYY-MM-DD, YYYY-MM or YYYY",
        ItemKind::String | ItemKind::Text => "valueString, a text that is not empty",
    }
}

/// The allowed options, so many of them as a message can bear.
fn options_text(item: &Item) -> String {
    const SHOWN: usize = 20;
    let labels: Vec<String> = item
        .options
        .iter()
        .take(SHOWN)
        .map(|option| option.value.label())
        .collect();
    let mut text = format!("one of {}", labels.join(", "));
    if item.options.len() > SHOWN {
        text.push_str(&format!(" and {} more", item.options.len() - SHOWN));
    }
    text
}
