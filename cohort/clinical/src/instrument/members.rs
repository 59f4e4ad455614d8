//! The members that FHIR R4 gives to the parts of a response. All others are refused: a response is stored as it was
//! received, and a member that nobody knows of could hold the name of who answered.

use serde_json::{Map, Value};

use super::{Path, Problems, Rule};

/// A part of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Response,
    Reference,
    Item,
    Answer,
    Coding,
}

/// Refuses members that a part does not have. Their names are not repeated: they may be somebody's.
pub(super) fn refuse_unknown(
    part: Part,
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) {
    if !members.keys().all(|name| part.has(name)) {
        let expected = format!("only the members that FHIR R4 gives {}", part.name());
        problems.add(path, Rule::Unsupported, expected);
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Response => "a QuestionnaireResponse",
            Self::Reference => "a reference",
            Self::Item => "an item",
            Self::Answer => "an answer",
            Self::Coding => "a coding",
        }
    }

    /// Whether a member of this name is one of FHIR's, supported here or not.
    fn has(self, name: &str) -> bool {
        // Beside a member of a simple type stands one of the same name with its extensions.
        let name = name.strip_prefix('_').unwrap_or(name);
        let of_all = ["id", "extension"].contains(&name);
        of_all
            || match self {
                Self::Response => RESPONSE.contains(&name),
                Self::Reference => ["reference", "type", "identifier", "display"].contains(&name),
                Self::Item => ITEM.contains(&name),
                Self::Answer => {
                    name.starts_with("value") || ["item", "modifierExtension"].contains(&name)
                }
                Self::Coding => {
                    ["system", "version", "code", "display", "userSelected"].contains(&name)
                }
            }
    }
}

const RESPONSE: [&str; 18] = [
    "resourceType",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "modifierExtension",
    "identifier",
    "basedOn",
    "partOf",
    "questionnaire",
    "status",
    "subject",
    "encounter",
    "authored",
    "author",
    "source",
    "item",
];

const ITEM: [&str; 6] = [
    "linkId",
    "definition",
    "text",
    "answer",
    "item",
    "modifierExtension",
];
