//! From FHIR JSON to the compiled questionnaire, with every problem reported at once.

mod condition;
mod item;
mod order;

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::model::{Item, ItemIndex, PublicationStatus, Questionnaire};
use super::{Path, Problem, Problems, Rule, reading};
use crate::scoring;

impl Questionnaire {
    /// Checks and compiles a FHIR R4 `Questionnaire`.
    ///
    /// # Errors
    /// All problems, each with its place. Texts of the questionnaire itself may be repeated in them.
    pub fn parse(json: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let Some(members) = reading::object(json, &Path::Root, &mut problems) else {
            return Err(failure(problems));
        };
        let frame = Frame::read(members, &mut problems);
        let mut draft = Draft::default();
        item::read_items(&mut draft, members, None, &Path::Root, 1, &mut problems);
        if draft.items.is_empty() && problems.len() == 0 {
            problems.add("item", Rule::Required, "at least one item");
        }
        let roots = draft.roots();
        condition::read_conditions(&mut draft, &mut problems);
        let evaluation = order::evaluation_order(&draft, &mut problems);
        let scorings =
            scoring::read_declarations(members, &draft.items, &draft.by_link_id, &mut problems);
        match (frame, problems.finish()) {
            (Some(frame), Ok(())) => Ok(Self {
                url: frame.url,
                version: frame.version,
                status: frame.status,
                name: frame.name,
                title: frame.title,
                language: frame.language,
                items: draft.items,
                roots,
                by_link_id: draft.by_link_id,
                evaluation,
                scorings,
            }),
            (_, Err(found)) => Err(found),
            // The frame is absent only with a problem; should that ever fail, refuse rather than accept.
            (None, Ok(())) => Err(vec![Problem {
                path: String::new(),
                link_id: None,
                rule: Rule::Structure,
                expected: "a FHIR R4 Questionnaire".to_owned(),
            }]),
        }
    }

    /// [`Questionnaire::parse`] from JSON text.
    ///
    /// # Errors
    /// As there; text that is not JSON is one problem that names line and column.
    pub fn from_json(text: &str) -> Result<Self, Vec<Problem>> {
        match serde_json::from_str(text) {
            Ok(json) => Self::parse(&json),
            Err(error) => Err(vec![Problem {
                path: String::new(),
                link_id: None,
                rule: Rule::Format,
                expected: format!(
                    "JSON; line {}, column {} is not",
                    error.line(),
                    error.column()
                ),
            }]),
        }
    }
}

/// What a questionnaire says of itself.
struct Frame {
    url: String,
    version: String,
    status: PublicationStatus,
    name: Option<String>,
    title: Option<String>,
    language: Option<String>,
}

impl Frame {
    fn read(members: &Map<String, Value>, problems: &mut Problems) -> Option<Self> {
        let path = &Path::Root;
        if members.get("resourceType").and_then(Value::as_str) != Some("Questionnaire") {
            problems.add("resourceType", Rule::Type, "Questionnaire");
        }
        if members.contains_key("modifierExtension") {
            problems.add(
                "modifierExtension",
                Rule::Unsupported,
                "no modifier extension: it may change any meaning",
            );
        }
        let url = reading::required_text(members, "url", path, problems);
        let version = reading::required_text(members, "version", path, problems);
        for (name, part) in [("url", url), ("version", version)] {
            if part.is_some_and(|part| part.contains('|') || part.contains(char::is_whitespace)) {
                problems.add(name, Rule::Format, "a text without spaces and without `|`");
            }
        }
        let status = reading::required_text(members, "status", path, problems).and_then(|code| {
            let status = PublicationStatus::from_code(code);
            if status.is_none() {
                problems.add("status", Rule::Status, "draft, active, retired or unknown");
            }
            status
        });
        let mut owned = |name| reading::text(members, name, path, problems).map(str::to_owned);
        let (name, title, language) = (owned("name"), owned("title"), owned("language"));
        Some(Self {
            url: url?.to_owned(),
            version: version?.to_owned(),
            status: status?,
            name,
            title,
            language,
        })
    }
}

/// The questionnaire while it is being read.
#[derive(Default)]
struct Draft<'j> {
    items: Vec<Item>,
    by_link_id: HashMap<String, ItemIndex>,
    /// The conditions as JSON, with the item that they enable and its place; resolved once all items are known.
    conditions: Vec<(ItemIndex, &'j [Value], String)>,
}

impl Draft<'_> {
    fn roots(&self) -> Vec<ItemIndex> {
        (0_u32..)
            .map(ItemIndex)
            .zip(&self.items)
            .filter(|(_, item)| item.parent.is_none())
            .map(|(index, _)| index)
            .collect()
    }

    /// The groups and questions around an item, nearest first.
    fn ancestors(&self, index: ItemIndex) -> impl Iterator<Item = ItemIndex> {
        std::iter::successors(self.items[index.position()].parent, |parent| {
            self.items[parent.position()].parent
        })
    }
}

fn failure(problems: Problems) -> Vec<Problem> {
    problems.finish().err().unwrap_or_default()
}
