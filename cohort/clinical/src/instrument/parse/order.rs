//! The order in which items are evaluated, and the circles in which there is none.

use serde_json::Value;

use super::Draft;
use crate::instrument::{ItemIndex, Problems, Rule};

/// An order in which each item comes after its parent and after the questions that enable it.
///
/// Items of a circle are reported; the order is then not complete, and not used.
pub(super) fn evaluation_order(draft: &Draft<'_>, problems: &mut Problems) -> Vec<ItemIndex> {
    let count = draft.items.len();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut dependencies: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (position, item) in draft.items.iter().enumerate() {
        let questions = item.conditions.iter().map(|condition| condition.question);
        for before in item.parent.into_iter().chain(questions) {
            dependents[before.position()].push(position);
            dependencies[position].push(before.position());
        }
    }
    let order = peel(&dependencies, &dependents, &vec![true; count]);
    if order.len() < count {
        let mut circular = vec![true; count];
        for position in order {
            circular[position] = false;
        }
        // What only depends on a circle is not part of one: peel from the other side as well.
        for position in peel(&dependents, &dependencies, &circular) {
            circular[position] = false;
        }
        report(draft, &circular, problems);
        return Vec::new();
    }
    order
        .into_iter()
        .filter_map(|position| u32::try_from(position).ok().map(ItemIndex))
        .collect()
}

/// Takes away, again and again, what waits for nothing that is left; returns it in that order.
fn peel(waits_for: &[Vec<usize>], releases: &[Vec<usize>], included: &[bool]) -> Vec<usize> {
    let mut waiting: Vec<usize> = waits_for
        .iter()
        .map(|others| others.iter().filter(|other| included[**other]).count())
        .collect();
    let mut order: Vec<usize> = (0..included.len())
        .filter(|position| included[*position] && waiting[*position] == 0)
        .collect();
    let mut next = 0;
    while let Some(&position) = order.get(next) {
        next += 1;
        for &released in releases[position]
            .iter()
            .filter(|released| included[**released])
        {
            waiting[released] -= 1;
            if waiting[released] == 0 {
                order.push(released);
            }
        }
    }
    order
}

/// Names each condition that is part of a circle, by its place in the document.
fn report(draft: &Draft<'_>, circular: &[bool], problems: &mut Problems) {
    for (index, elements, place) in draft
        .conditions
        .iter()
        .filter(|(index, ..)| circular[index.position()])
    {
        let link_id = &draft.items[index.position()].link_id;
        for (number, element) in elements.iter().enumerate() {
            let question = element
                .get("question")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if draft
                .by_link_id
                .get(question)
                .is_some_and(|question| circular[question.position()])
            {
                let expected = format!(
                    "a question that does not itself depend on this item, as `{question}` does"
                );
                problems.add_for(
                    link_id,
                    format!("{place}.enableWhen[{number}].question"),
                    Rule::Cycle,
                    expected,
                );
            }
        }
    }
}
