//! Checks a response against its questionnaire: one walk over the JSON, then logic over what was found.

mod logic;
mod walk;

use serde_json::Value;

use super::{
    AnswerValue, CheckedResponse, ItemIndex, Path, Problem, Problems, Questionnaire, reading,
    response,
};

/// Checks a FHIR R4 `QuestionnaireResponse` and keeps what counts of it.
///
/// The status must be `completed`: unfinished responses stay with the client, and corrections (`amended`) are
/// requests of their own that name their reason. The work is bounded by the questionnaire's depth and by
/// [`MAX_RESPONSE_ITEMS`](super::MAX_RESPONSE_ITEMS) and [`MAX_ANSWERS`](super::MAX_ANSWERS), whatever the JSON is.
///
/// # Errors
/// All problems at once. They name items, rules and what was expected, never what was answered; an option that
/// belongs to another item of the same questionnaire is named, since it is the questionnaire's own text.
pub fn check(
    questionnaire: &Questionnaire,
    response: &Value,
) -> Result<CheckedResponse, Vec<Problem>> {
    let mut problems = Problems::default();
    let Some(members) = reading::object(response, &Path::Root, &mut problems) else {
        return Err(problems.finish().err().unwrap_or_default());
    };
    let header = response::read_header(members, &mut problems);
    response::check_questionnaire(members, questionnaire, &mut problems);
    let mut walk = walk::Walk::new(questionnaire, problems);
    walk.items(members, None, &Path::Root);
    let (mut found, mut problems) = walk.finish();
    found.enable(questionnaire);
    found.demand_answers(questionnaire, &mut problems);
    problems.finish()?;
    // A header that could not be read is a problem, which ended the check above.
    let header = header.ok_or_else(Vec::new)?;
    let (collected, not_collected) = found.into_answers(questionnaire);
    Ok(CheckedResponse {
        header,
        not_collected,
        collected,
    })
}

/// The items of a response, parents before children, and their answers.
#[derive(Default)]
struct Found {
    instances: Vec<Instance>,
    answers: Vec<AnswerValue>,
    /// The instances of each item, in document order: those of item `i` are at `starts[i]..starts[i + 1]`.
    by_item: Vec<usize>,
    starts: Vec<usize>,
}

/// One occurrence of an item in a response.
struct Instance {
    item: ItemIndex,
    parent: Option<usize>,
    /// Its position in the `item` array that holds it.
    position: usize,
    /// Its answers, as positions in [`Found::answers`].
    answers: std::ops::Range<usize>,
    /// The first instance after it that is not below it.
    end: usize,
    /// An answer was refused, so that what depends on it cannot be known.
    faulty: bool,
    /// Whether the item is enabled; `None` when that depends on a faulty answer.
    enabled: Option<bool>,
}

impl Found {
    /// The instances of an item below a parent, or anywhere for none.
    fn occurrences(&self, item: ItemIndex, below: Option<usize>) -> &[usize] {
        let all = &self.by_item[self.starts[item.position()]..self.starts[item.position() + 1]];
        let Some(below) = below else { return all };
        let start = all.partition_point(|instance| *instance <= below);
        let end = all.partition_point(|instance| *instance < self.instances[below].end);
        &all[start..end]
    }

    fn answers(&self, instance: usize) -> &[AnswerValue] {
        &self.answers[self.instances[instance].answers.clone()]
    }

    /// Splits the answers into those that count, by item, and the link ids of those that do not.
    fn into_answers(
        mut self,
        questionnaire: &Questionnaire,
    ) -> (Vec<(ItemIndex, AnswerValue)>, Vec<String>) {
        let mut collected = Vec::with_capacity(self.answers.len());
        let mut not_collected = Vec::new();
        let mut answers: Vec<Option<AnswerValue>> = std::mem::take(&mut self.answers)
            .into_iter()
            .map(Some)
            .collect();
        for &position in &self.by_item {
            let instance = &self.instances[position];
            if instance.enabled != Some(false) {
                let own = &mut answers[instance.answers.clone()];
                collected.extend(
                    own.iter_mut()
                        .filter_map(Option::take)
                        .map(|answer| (instance.item, answer)),
                );
            } else if !instance.answers.is_empty() {
                let link_id = &questionnaire.item(instance.item).link_id;
                if not_collected.last() != Some(link_id) {
                    not_collected.push(link_id.clone());
                }
            }
        }
        (collected, not_collected)
    }
}
