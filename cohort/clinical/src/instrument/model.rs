//! The compiled questionnaire: items in document order, every reference an index.

use std::collections::HashMap;

use super::{AnswerValue, Condition, EnableBehavior, PartialDate};
use crate::scoring::Scoring;

/// A checked questionnaire, compiled for many responses.
///
/// Made by [`Questionnaire::parse`]; immutable and cheap to share behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Questionnaire {
    pub(super) url: String,
    pub(super) version: String,
    pub(super) status: PublicationStatus,
    pub(super) name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) language: Option<String>,
    /// All items, parents before children.
    pub(super) items: Vec<Item>,
    pub(super) roots: Vec<ItemIndex>,
    pub(super) by_link_id: HashMap<String, ItemIndex>,
    /// An order in which each item comes after its parent and after the questions of its conditions.
    pub(super) evaluation: Vec<ItemIndex>,
    pub(super) scorings: Vec<Scoring>,
}

impl Questionnaire {
    /// The canonical url, the same for all versions.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The version; with the url it names this content for good.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `url|version`, as responses name it.
    pub fn canonical(&self) -> String {
        format!("{}|{}", self.url, self.version)
    }

    /// Whether the questionnaire is a draft, in use or retired.
    pub fn status(&self) -> PublicationStatus {
        self.status
    }

    /// The name for machines, if any.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The title for people, if any.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The language tag of its texts, if any.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// All items, parents before children.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items that are in no other item, in order.
    pub fn roots(&self) -> &[ItemIndex] {
        &self.roots
    }

    /// The item at an index of this questionnaire.
    ///
    /// # Panics
    /// When the index was made by another questionnaire with more items.
    pub fn item(&self, index: ItemIndex) -> &Item {
        &self.items[index.position()]
    }

    /// The index of the item with this link id.
    pub fn find(&self, link_id: &str) -> Option<ItemIndex> {
        self.by_link_id.get(link_id).copied()
    }

    /// How the questionnaire is scored; empty when it is not.
    pub fn scorings(&self) -> &[Scoring] {
        &self.scorings
    }
}

/// The place of an item in its questionnaire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemIndex(pub(super) u32);

impl ItemIndex {
    /// The position in [`Questionnaire::items`].
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

/// The life of a questionnaire version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationStatus {
    /// Being written.
    Draft,
    /// In use.
    Active,
    /// No longer answered.
    Retired,
    /// Not known.
    Unknown,
}

impl PublicationStatus {
    /// Reads the FHIR code.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "draft" => Self::Draft,
            "active" => Self::Active,
            "retired" => Self::Retired,
            "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Unknown => "unknown",
        }
    }
}

/// One group, question or displayed text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item {
    /// Unique in the questionnaire.
    pub link_id: String,
    /// What kind of item it is.
    pub kind: ItemKind,
    /// Printed before the text, as `1.`.
    pub prefix: Option<String>,
    /// What the patient reads.
    pub text: Option<String>,
    /// Must be answered when enabled.
    pub required: bool,
    /// May have several answers, or for a group several repetitions.
    pub repeats: bool,
    /// Not for people to change: computed or shown.
    pub read_only: bool,
    /// Longest text, in Unicode characters.
    pub max_length: Option<u32>,
    /// The answers to choose from.
    pub options: Vec<AnswerOption>,
    /// Smallest allowed value.
    pub minimum: Option<Bound>,
    /// Largest allowed value.
    pub maximum: Option<Bound>,
    /// Values a form starts with; never put into a response by this crate.
    pub initial: Vec<AnswerValue>,
    /// The group, or the question under whose answer this item is.
    pub parent: Option<ItemIndex>,
    /// The items in this group, or under this question's answer.
    pub children: Vec<ItemIndex>,
    /// When the item is enabled; always, if there is none.
    pub conditions: Vec<Condition>,
    /// How the conditions are combined.
    pub behavior: EnableBehavior,
    /// Whether this item or one below it is required; spares the check of those that are not.
    pub(crate) demands: bool,
}

/// The supported item types of FHIR R4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// Items that belong together.
    Group,
    /// A text without an answer.
    Display,
    /// Options to choose from.
    Choice,
    /// Options to choose from, or a text instead.
    OpenChoice,
    /// A whole number of 32 bits.
    Integer,
    /// A number.
    Decimal,
    /// Yes or no.
    Boolean,
    /// A date, possibly partial.
    Date,
    /// A short text.
    String,
    /// A long text.
    Text,
}

impl ItemKind {
    /// All supported kinds.
    pub const ALL: [Self; 10] = [
        Self::Group,
        Self::Display,
        Self::Choice,
        Self::OpenChoice,
        Self::Integer,
        Self::Decimal,
        Self::Boolean,
        Self::Date,
        Self::String,
        Self::Text,
    ];

    /// Reads the FHIR code; `None` for one that is unknown or not supported.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Display => "display",
            Self::Choice => "choice",
            Self::OpenChoice => "open-choice",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::String => "string",
            Self::Text => "text",
        }
    }

    /// Whether an item of this kind takes answers.
    pub const fn is_question(self) -> bool {
        !matches!(self, Self::Group | Self::Display)
    }

    /// Whether an item of this kind has options.
    pub const fn is_choice(self) -> bool {
        matches!(self, Self::Choice | Self::OpenChoice)
    }
}

/// One answer to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerOption {
    /// What is chosen.
    pub value: OptionValue,
    /// What it counts in a score, if declared.
    pub score: Option<f64>,
}

/// What an option stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// A code, mostly with a display.
    Coding {
        /// The code system, if given.
        system: Option<String>,
        /// The code.
        code: String,
        /// What the patient reads.
        display: Option<String>,
    },
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl OptionValue {
    /// How a problem names the option: `LA6568-5 (Not at all)`, `3` or `often`.
    pub fn label(&self) -> String {
        match self {
            Self::Coding {
                code,
                display: Some(display),
                ..
            } => format!("{code} ({display})"),
            Self::Coding {
                code,
                display: None,
                ..
            } => code.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A limit of a value, of the item's own type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// For integer items.
    Integer(i64),
    /// For decimal items.
    Decimal(f64),
    /// For date items.
    Date(PartialDate),
}
