//! Questionnaires and the responses to them: FHIR R4 JSON, checked completely and compiled once.
//!
//! [`Questionnaire::parse`] turns a FHIR `Questionnaire` into a checked model with every reference resolved;
//! [`check`] walks a `QuestionnaireResponse` once against it. Both report every problem at once, each with its
//! place, and never repeat what a patient typed.
//!
//! Rules that the standard leaves open are decided here:
//!
//! - A disabled item counts as unanswered in logic, in scores and for `required`. What was entered in it is kept
//!   in the response and its link id is reported by [`CheckedResponse::not_collected`]. Its answers are still
//!   checked for type, options and limits, because they are stored.
//! - Conditions on an unanswered question are false, `exists` apart. `=`, `<`, `<=`, `>` and `>=` hold when one of
//!   several answers fits, `!=` when none of them is equal. Partial dates are compared only where every day they
//!   may stand for gives the same result.
//! - A question that occurs in several repetitions of a group is looked up nearest to the item: in the smallest
//!   group that holds both, the last occurrence before the item, else the first after it.
//! - An absent group that does not repeat is treated as present and empty: leaving the group out does not avoid its
//!   required questions. An absent repeating group has no repetitions and demands nothing, unless it is required.
//! - A coding is matched by code, and by system where it gives one; without a code, by the exact display. A
//!   translated display beside a code is therefore accepted.
//! - Answers are kept without the persons that they are of: names and numbers beside references, contained resources,
//!   a narrative, and members that FHIR does not have are refused. What is typed as an answer, and extensions, are
//!   stored as they are.

mod answer;
mod check;
mod date;
mod enable;
mod members;
mod model;
mod parse;
mod problem;
mod reading;
mod response;
mod shipped;

pub use answer::AnswerValue;
pub use check::check;
pub use date::PartialDate;
pub use enable::{Condition, EnableBehavior, Expectation, Operator};
pub use model::{
    AnswerOption, Bound, Item, ItemIndex, ItemKind, OptionValue, PublicationStatus, Questionnaire,
};
pub use problem::{Problem, Rule};
pub use response::{CheckedResponse, ResponseHeader, questionnaire_of};
pub use shipped::{Shipped, shipped};

pub(crate) use problem::{Path, Problems};
pub(crate) use reading::{extensions, typed_member};

/// Most items that a questionnaire may have.
pub const MAX_ITEMS: usize = 10_000;
/// Most levels of nested items that a questionnaire may have.
pub const MAX_DEPTH: usize = 16;
/// Most answer options that an item may have.
pub const MAX_OPTIONS: usize = 2_000;
/// Most items that a response may have, counting each repetition.
pub const MAX_RESPONSE_ITEMS: usize = 20_000;
/// Most answers that a response may have.
pub const MAX_ANSWERS: usize = 50_000;
/// Most problems that one check reports; one more says that there were others.
pub const MAX_PROBLEMS: usize = 100;
