//! Conditions under which an item is enabled: `enableWhen` with all operators of FHIR R4.

use std::cmp::Ordering;

use super::{AnswerValue, ItemIndex};

/// One `enableWhen`, with its question resolved and its expected value typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The question whose answer decides.
    pub question: ItemIndex,
    /// What is asked of the answer.
    pub operator: Operator,
    /// What it is compared with.
    pub expected: Expectation,
    /// The smallest item that holds both the question and the item, `None` for the questionnaire itself. It is the
    /// question itself where the item is nested under its answer.
    pub(crate) scope: Option<ItemIndex>,
}

/// The operators of FHIR R4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `exists`: answered or not.
    Exists,
    /// `=`: one answer is equal.
    Equal,
    /// `!=`: answered, and no answer is equal.
    NotEqual,
    /// `>`: one answer is greater.
    Greater,
    /// `<`: one answer is less.
    Less,
    /// `>=`: one answer is greater or equal.
    GreaterOrEqual,
    /// `<=`: one answer is less or equal.
    LessOrEqual,
}

impl Operator {
    /// Reads the FHIR code of an operator.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "exists" => Self::Exists,
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::GreaterOrEqual,
            "<=" => Self::LessOrEqual,
            _ => return None,
        })
    }

    /// Whether the operator needs values that have an order.
    pub fn orders(self) -> bool {
        matches!(
            self,
            Self::Greater | Self::Less | Self::GreaterOrEqual | Self::LessOrEqual
        )
    }
}

/// What a condition compares the answer with.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// For `exists`: whether an answer must be there.
    Answered(bool),
    /// For all other operators: a value of the question's type.
    Value(AnswerValue),
}

/// How several conditions of one item are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnableBehavior {
    /// All must hold.
    #[default]
    All,
    /// One is enough.
    Any,
}

impl EnableBehavior {
    /// Combines the results of the conditions, where `None` is a result that cannot be known because the answer
    /// it depends on is itself faulty.
    pub(crate) fn combine(self, results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        // One such result decides alone: a false for all, a true for any.
        let decisive = self == Self::Any;
        let mut unknown = false;
        for result in results {
            match result {
                Some(result) if result == decisive => return Some(decisive),
                Some(_) => {}
                None => unknown = true,
            }
        }
        if unknown { None } else { Some(!decisive) }
    }
}

impl Condition {
    /// Whether the condition holds for the answers of its question; none if it was not answered.
    pub fn holds(&self, answers: &[AnswerValue]) -> bool {
        let expected = match &self.expected {
            Expectation::Answered(expected) => return *expected != answers.is_empty(),
            Expectation::Value(expected) => expected,
        };
        if answers.is_empty() {
            return false;
        }
        match self.operator {
            Operator::Exists => true,
            Operator::Equal => answers.iter().any(|answer| answer == expected),
            Operator::NotEqual => !answers.iter().any(|answer| may_equal(answer, expected)),
            operator => answers
                .iter()
                .any(|answer| ordered(answer, operator, expected)),
        }
    }
}

/// Whether two values are equal or, for partial dates, might be.
fn may_equal(answer: &AnswerValue, expected: &AnswerValue) -> bool {
    match (answer, expected) {
        (AnswerValue::Date(answer), AnswerValue::Date(expected)) => answer.overlaps(*expected),
        _ => answer == expected,
    }
}

/// Whether the order certainly holds; false for values without an order.
fn ordered(answer: &AnswerValue, operator: Operator, expected: &AnswerValue) -> bool {
    let ordering = match (answer, expected) {
        (AnswerValue::Integer(answer), AnswerValue::Integer(expected)) => {
            Some(answer.cmp(expected))
        }
        (AnswerValue::Decimal(answer), AnswerValue::Decimal(expected)) => {
            answer.partial_cmp(expected)
        }
        (AnswerValue::Date(answer), AnswerValue::Date(expected)) => {
            if answer == expected {
                Some(Ordering::Equal)
            } else if answer.latest() < expected.earliest() {
                Some(Ordering::Less)
            } else if answer.earliest() > expected.latest() {
                Some(Ordering::Greater)
            } else {
                None
            }
        }
        _ => None,
    };
    ordering.is_some_and(|ordering| match operator {
        Operator::Greater => ordering.is_gt(),
        Operator::Less => ordering.is_lt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Exists | Operator::Equal | Operator::NotEqual => false,
    })
}
