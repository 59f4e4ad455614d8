//! The walk over a response's JSON: every item found in its place, every answer read.

use serde_json::{Map, Value};

use super::{Found, Instance};
use crate::instrument::answer::{check_limits, foreign_option, read_answer};
use crate::instrument::{
    AnswerValue, Item, ItemIndex, ItemKind, MAX_ANSWERS, MAX_RESPONSE_ITEMS, Path, Problems,
    Questionnaire, Rule,
    members::{Part, refuse_unknown},
    reading, typed_member,
};

/// A walk under way. It descends only where the questionnaire does, so its depth is bounded by the questionnaire's.
pub(super) struct Walk<'q> {
    questionnaire: &'q Questionnaire,
    problems: Problems,
    instances: Vec<Instance>,
    answers: Vec<AnswerValue>,
    /// The latest instance of each item.
    latest: Vec<Option<usize>>,
    /// A limit was passed; nothing more is read.
    stopped: bool,
}

impl<'q> Walk<'q> {
    pub(super) fn new(questionnaire: &'q Questionnaire, problems: Problems) -> Self {
        let count = questionnaire.items().len();
        Self {
            questionnaire,
            problems,
            instances: Vec::with_capacity(count.min(256)),
            answers: Vec::with_capacity(count.min(256)),
            latest: vec![None; count],
            stopped: false,
        }
    }

    /// Walks the `item` member of the response, of a group or of an answer.
    pub(super) fn items(
        &mut self,
        members: &Map<String, Value>,
        parent: Option<usize>,
        path: &Path<'_>,
    ) {
        let elements = reading::array(members, "item", path, &mut self.problems);
        let path = path.member("item");
        for (position, element) in elements.iter().enumerate() {
            let path = path.element(position);
            if self.instances.len() >= MAX_RESPONSE_ITEMS && !self.stopped {
                self.stop(&path, format!("at most {MAX_RESPONSE_ITEMS} items"));
            }
            if self.stopped {
                return;
            }
            let members = reading::object(element, &path, &mut self.problems);
            if let Some(members) = members {
                refuse_unknown(Part::Item, members, &path, &mut self.problems);
            }
            if let Some(members) = members
                && let Some(item) = self.identify(members, parent, &path)
            {
                self.instance(members, item, parent, position, &path);
            }
        }
    }

    /// All that was found, indexed by item, and the problems.
    pub(super) fn finish(self) -> (Found, Problems) {
        let mut starts = vec![0; self.questionnaire.items().len() + 1];
        for instance in &self.instances {
            starts[instance.item.position() + 1] += 1;
        }
        for position in 1..starts.len() {
            starts[position] += starts[position - 1];
        }
        let mut next = starts.clone();
        let mut by_item = vec![0; self.instances.len()];
        for (position, instance) in self.instances.iter().enumerate() {
            let slot = &mut next[instance.item.position()];
            by_item[*slot] = position;
            *slot += 1;
        }
        (
            Found {
                instances: self.instances,
                answers: self.answers,
                by_item,
                starts,
            },
            self.problems,
        )
    }

    /// The questionnaire's item that an element answers, if it may stand here.
    fn identify(
        &mut self,
        members: &Map<String, Value>,
        parent: Option<usize>,
        path: &Path<'_>,
    ) -> Option<ItemIndex> {
        let link_id = reading::required_text(members, "linkId", path, &mut self.problems)?;
        let Some(index) = self.questionnaire.find(link_id) else {
            let expected = format!("an item of {}", self.questionnaire.canonical());
            self.problems
                .add(path.member("linkId"), Rule::UnknownItem, expected);
            return None;
        };
        let item = self.questionnaire.item(index);
        if item.parent != parent.map(|parent| self.instances[parent].item) {
            let place = match item.parent {
                Some(parent) => format!(
                    "this item under `{}`",
                    self.questionnaire.item(parent).link_id
                ),
                None => "this item at the top of the response".to_owned(),
            };
            self.problems
                .add_for(&item.link_id, path, Rule::MisplacedItem, place);
            return None;
        }
        // Instances of one item under one parent follow each other, so that the latest one tells.
        let again = self.latest[index.position()]
            .is_some_and(|latest| self.instances[latest].parent == parent);
        if again && item.kind == ItemKind::Group && !item.repeats {
            self.problems.add_for(
                &item.link_id,
                path,
                Rule::TooMany,
                "this group once, since it does not repeat",
            );
        } else if again && item.kind != ItemKind::Group {
            self.problems.add_for(
                &item.link_id,
                path,
                Rule::Duplicate,
                "this item once, with all its answers in `answer`",
            );
        }
        Some(index)
    }

    fn instance(
        &mut self,
        members: &Map<String, Value>,
        index: ItemIndex,
        parent: Option<usize>,
        position: usize,
        path: &Path<'_>,
    ) {
        let item = self.questionnaire.item(index);
        let own = self.instances.len();
        let start = self.answers.len();
        self.latest[index.position()] = Some(own);
        self.instances.push(Instance {
            item: index,
            parent,
            position,
            answers: start..start,
            end: own + 1,
            faulty: false,
            enabled: Some(true),
        });
        if members.contains_key("modifierExtension") {
            let expected = "no modifier extension: it may change the meaning of the answer";
            self.problems
                .add_for(&item.link_id, path, Rule::Unsupported, expected);
        }
        if item.kind.is_question() {
            if members.contains_key("item") {
                let expected = "items below a question inside its answer, as answer[0].item";
                self.problems.add_for(
                    &item.link_id,
                    path.member("item"),
                    Rule::Structure,
                    expected,
                );
            }
            let elements = reading::array(members, "answer", path, &mut self.problems);
            self.instances[own].faulty = !self.read_answers(item, elements, path);
            self.instances[own].answers = start..self.answers.len();
            for (number, element) in elements.iter().enumerate() {
                if let Some(members) = element.as_object() {
                    let path = path.member("answer");
                    self.items(members, Some(own), &path.element(number));
                }
            }
        } else {
            if members.contains_key("answer") {
                let expected = format!(
                    "no answer, because the item is of type {}",
                    item.kind.code()
                );
                self.problems.add_for(
                    &item.link_id,
                    path.member("answer"),
                    Rule::Structure,
                    expected,
                );
            }
            self.items(members, Some(own), path);
        }
        self.instances[own].end = self.instances.len();
    }

    /// Reads the answers of one question; false when one of them was refused.
    fn read_answers(&mut self, item: &Item, elements: &[Value], path: &Path<'_>) -> bool {
        let path = path.member("answer");
        let before = self.problems.len();
        if elements.len() > 1 && !item.repeats {
            self.problems.add_for(
                &item.link_id,
                path,
                Rule::TooMany,
                "one answer, since the item does not repeat",
            );
        }
        let mut all_read = true;
        for (number, element) in elements.iter().enumerate() {
            let path = path.element(number);
            if self.answers.len() >= MAX_ANSWERS {
                self.stop(&path, format!("at most {MAX_ANSWERS} answers"));
            }
            if self.stopped {
                return false;
            }
            all_read &= self.read_one(item, element, &path);
        }
        all_read && self.problems.len() == before
    }

    fn read_one(&mut self, item: &Item, element: &Value, path: &Path<'_>) -> bool {
        let Some(members) = reading::object(element, path, &mut self.problems) else {
            return false;
        };
        refuse_unknown(Part::Answer, members, path, &mut self.problems);
        let (suffix, value) = match typed_member(members, "value") {
            Ok(Some(typed)) => typed,
            Ok(None) => {
                self.problems.add_for(
                    &item.link_id,
                    path,
                    Rule::Required,
                    "a value; leave the item out if it is unanswered",
                );
                return false;
            }
            Err(()) => {
                self.problems.add_for(
                    &item.link_id,
                    path,
                    Rule::Structure,
                    "exactly one value in an answer",
                );
                return false;
            }
        };
        if suffix == "Coding"
            && let Some(coding) = value.as_object()
        {
            let path = path.member("valueCoding");
            refuse_unknown(Part::Coding, coding, &path, &mut self.problems);
        }
        match read_answer(item, suffix, value)
            .and_then(|answer| check_limits(item, &answer).map(|()| answer))
        {
            Ok(answer) => {
                self.answers.push(answer);
                true
            }
            Err(mut refusal) => {
                if refusal.rule == Rule::IllegalOption
                    && !self.problems.is_full()
                    && let Some(label) = foreign_option(self.questionnaire, suffix, value)
                {
                    refusal
                        .expected
                        .push_str(&format!("; {label} is an option of another item"));
                }
                self.problems
                    .add_for(&item.link_id, path, refusal.rule, refusal.expected);
                false
            }
        }
    }

    fn stop(&mut self, path: &Path<'_>, expected: String) {
        self.problems.add(path, Rule::Limit, expected);
        self.stopped = true;
    }
}
