//! Which items are enabled, and which of those lack an answer.

use super::Found;
use crate::instrument::{Condition, ItemIndex, ItemKind, Problems, Questionnaire, Rule};

impl Found {
    /// Decides for every instance whether it is enabled, in an order in which all it depends on is decided before.
    pub(super) fn enable(&mut self, questionnaire: &Questionnaire) {
        for &item in &questionnaire.evaluation {
            for slot in self.starts[item.position()]..self.starts[item.position() + 1] {
                let position = self.by_item[slot];
                let parent = self.instances[position].parent;
                self.instances[position].enabled = match self.parent_enabled(parent) {
                    Some(false) => Some(false),
                    above => both(above, self.evaluate(questionnaire, item, parent)),
                };
            }
        }
    }

    /// Reports every enabled required item without an answer.
    pub(super) fn demand_answers(&self, questionnaire: &Questionnaire, problems: &mut Problems) {
        self.demand_children(questionnaire, questionnaire.roots(), None, problems);
        for (position, instance) in self.instances.iter().enumerate() {
            if problems.is_full() {
                return;
            }
            let item = questionnaire.item(instance.item);
            // Items below a question belong to its answer: without one there is nothing to demand.
            let open = item.kind == ItemKind::Group || !instance.answers.is_empty();
            if item.demands && open && instance.enabled == Some(true) {
                self.demand_children(questionnaire, &item.children, Some(position), problems);
            }
        }
    }

    /// Whether an item's own conditions hold, seen from the instance that holds it or would hold it.
    fn evaluate(
        &self,
        questionnaire: &Questionnaire,
        item: ItemIndex,
        parent: Option<usize>,
    ) -> Option<bool> {
        let definition = questionnaire.item(item);
        if definition.conditions.is_empty() {
            return Some(true);
        }
        definition
            .behavior
            .combine(definition.conditions.iter().map(|condition| {
                let Some(question) = self.nearest(condition, item, parent) else {
                    return Some(condition.holds(&[]));
                };
                let instance = &self.instances[question];
                match instance.enabled {
                    Some(false) => Some(condition.holds(&[])),
                    Some(true) if !instance.faulty => Some(condition.holds(self.answers(question))),
                    _ => None,
                }
            }))
    }

    /// The occurrence of a condition's question that is nearest to the item.
    fn nearest(
        &self,
        condition: &Condition,
        item: ItemIndex,
        parent: Option<usize>,
    ) -> Option<usize> {
        let mut scope = parent;
        if let Some(wanted) = condition.scope {
            while self.instances[scope?].item != wanted {
                scope = self.instances[scope?].parent;
            }
            if wanted == condition.question {
                return scope;
            }
        } else {
            scope = None;
        }
        let candidates = self.occurrences(condition.question, scope);
        if condition.question < item {
            candidates.last().copied()
        } else {
            candidates.first().copied()
        }
    }

    fn demand_children(
        &self,
        questionnaire: &Questionnaire,
        children: &[ItemIndex],
        parent: Option<usize>,
        problems: &mut Problems,
    ) {
        for &child in children {
            let item = questionnaire.item(child);
            if !item.demands {
                continue;
            }
            let occurrences = self.occurrences(child, parent);
            if occurrences.is_empty() {
                if self.evaluate(questionnaire, child, parent) == Some(true) {
                    self.demand_absent(questionnaire, child, parent, problems);
                }
                continue;
            }
            for &position in occurrences.iter().filter(|_| item.required) {
                let instance = &self.instances[position];
                let answered = match item.kind {
                    ItemKind::Group => self.has_answer_below(position),
                    _ => !instance.answers.is_empty() || instance.faulty,
                };
                if !answered && instance.enabled == Some(true) {
                    problems.add_for(
                        &item.link_id,
                        self.place(questionnaire, position),
                        Rule::Required,
                        wanted(item.kind),
                    );
                }
            }
        }
    }

    /// Reports what is missing with an item that the response does not have; the item is enabled.
    fn demand_absent(
        &self,
        questionnaire: &Questionnaire,
        index: ItemIndex,
        parent: Option<usize>,
        problems: &mut Problems,
    ) {
        let item = questionnaire.item(index);
        let before = problems.len();
        if item.kind == ItemKind::Group && !item.repeats {
            self.demand_children(questionnaire, &item.children, parent, problems);
        }
        if item.required && problems.len() == before {
            let place = parent
                .map(|parent| self.place(questionnaire, parent))
                .unwrap_or_default();
            let dot = if place.is_empty() { "" } else { "." };
            problems.add_for(
                &item.link_id,
                format!("{place}{dot}item"),
                Rule::Required,
                wanted(item.kind),
            );
        }
    }

    fn has_answer_below(&self, group: usize) -> bool {
        let below = &self.instances[group..self.instances[group].end];
        below.iter().any(|instance| {
            instance.faulty || (!instance.answers.is_empty() && instance.enabled != Some(false))
        })
    }

    fn parent_enabled(&self, parent: Option<usize>) -> Option<bool> {
        parent.map_or(Some(true), |parent| self.instances[parent].enabled)
    }

    /// Where an instance is in the document.
    fn place(&self, questionnaire: &Questionnaire, position: usize) -> String {
        let instance = &self.instances[position];
        let Some(parent) = instance.parent else {
            return format!("item[{}]", instance.position);
        };
        let above = self.place(questionnaire, parent);
        // A question that has items below it has one answer.
        let answer = if questionnaire
            .item(self.instances[parent].item)
            .kind
            .is_question()
        {
            "answer[0]."
        } else {
            ""
        };
        format!("{above}.{answer}item[{}]", instance.position)
    }
}

/// Both, where a false decides alone.
fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn wanted(kind: ItemKind) -> &'static str {
    if kind == ItemKind::Group {
        "at least one answer in this group"
    } else {
        "an answer"
    }
}
