//! What is wrong with a questionnaire or a response, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::MAX_PROBLEMS;

/// One thing that is wrong, told without repeating what a patient entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where in the JSON document, as `item[2].answer[0].valueCoding`; empty for the document itself.
    pub path: String,
    /// The questionnaire's item, where there is one. A link id that the questionnaire does not know is not repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<String>,
    /// Which rule was broken.
    pub rule: Rule,
    /// What was expected there.
    pub expected: String,
}

impl Problem {
    /// The place in one text, with the item where there is one: `item[9].answer[0] (/69722-7)`.
    pub fn place(&self) -> String {
        match (&self.link_id, self.path.as_str()) {
            (None, "") => "document".to_owned(),
            (None, path) => path.to_owned(),
            (Some(link_id), "") => link_id.clone(),
            (Some(link_id), path) => format!("{path} ({link_id})"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule.as_str();
        write!(
            formatter,
            "{}: {rule}: expected {}",
            self.place(),
            self.expected
        )
    }
}

impl std::error::Error for Problem {}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The rules that a questionnaire or a response can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Rule {
            /// The rule's name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// Something that must be there is missing.
    Required = "required",
    /// A value of another JSON or FHIR type.
    Type = "type",
    /// A text that does not have the required form.
    Format = "format",
    /// Members that do not belong together, or that are in the wrong place.
    Structure = "structure",
    /// A link id that the questionnaire does not have.
    UnknownItem = "unknown-item",
    /// A link id that belongs under another item.
    MisplacedItem = "misplaced-item",
    /// The same link id twice where only one may be.
    Duplicate = "duplicate",
    /// An answer that is not one of the item's options.
    IllegalOption = "illegal-option",
    /// More answers or repetitions than the item allows.
    TooMany = "too-many-answers",
    /// Below the smallest allowed value.
    Minimum = "min-value",
    /// Above the largest allowed value.
    Maximum = "max-value",
    /// Longer than the item allows.
    MaxLength = "max-length",
    /// Not a date of the calendar.
    Date = "date",
    /// A status in which the document cannot be used.
    Status = "status",
    /// Another questionnaire or version than the one checked against.
    Questionnaire = "questionnaire",
    /// A valid FHIR feature that is not supported here.
    Unsupported = "unsupported",
    /// A condition that cannot be evaluated.
    EnableWhen = "enable-when",
    /// Items that enable each other in a circle.
    Cycle = "cycle",
    /// A scoring declaration that does not fit its algorithm.
    Scoring = "scoring",
    /// More than this implementation takes.
    Limit = "limit",
}

/// The problems found so far, at most [`MAX_PROBLEMS`] of them.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    dropped: bool,
}

impl Problems {
    /// Adds a problem of the document.
    pub(crate) fn add(&mut self, path: impl fmt::Display, rule: Rule, expected: impl Into<String>) {
        self.push(path, None, rule, expected);
    }

    /// Adds a problem of a known item.
    pub(crate) fn add_for(
        &mut self,
        link_id: &str,
        path: impl fmt::Display,
        rule: Rule,
        expected: impl Into<String>,
    ) {
        self.push(path, Some(link_id.to_owned()), rule, expected);
    }

    /// How many were found; used to see whether a step added any.
    pub(crate) fn len(&self) -> usize {
        self.found.len() + usize::from(self.dropped)
    }

    /// Whether further problems will only be counted as "others"; looking for them is then not worth much work.
    pub(crate) fn is_full(&self) -> bool {
        self.dropped
    }

    /// `Ok` when nothing was found.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Problem>> {
        if self.dropped {
            self.found.push(Problem {
                path: String::new(),
                link_id: None,
                rule: Rule::Limit,
                expected: format!("at most {MAX_PROBLEMS} problems; correct these to see the rest"),
            });
        }
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(self.found)
        }
    }

    fn push(
        &mut self,
        path: impl fmt::Display,
        link_id: Option<String>,
        rule: Rule,
        expected: impl Into<String>,
    ) {
        if self.found.len() >= MAX_PROBLEMS {
            self.dropped = true;
            return;
        }
        self.found.push(Problem {
            path: path.to_string(),
            link_id,
            rule,
            expected: expected.into(),
        });
    }
}

/// A place in a JSON document, kept on the stack and written out only when there is a problem.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The document.
    Root,
    /// A place that was written out before.
    Written(&'a str),
    /// A member of an object.
    Member(&'a Path<'a>, &'a str),
    /// An element of an array.
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub(crate) fn element(&'a self, index: usize) -> Self {
        Self::Element(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root | Self::Written("") => Ok(()),
            Self::Written(text) => formatter.write_str(text),
            Self::Member(Self::Root | Self::Written(""), name) => formatter.write_str(name),
            Self::Member(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Element(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}
