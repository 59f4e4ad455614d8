//! Resolves `enableWhen`: the question, the operator, the expected value.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Draft;
use crate::instrument::answer::read_answer;
use crate::instrument::{
    Condition, Expectation, Item, ItemIndex, ItemKind, Operator, Path, Problems, Rule, reading,
    typed_member,
};

/// Resolves the conditions of all items, once all items are known.
pub(super) fn read_conditions(draft: &mut Draft<'_>, problems: &mut Problems) {
    let mut resolved = Vec::with_capacity(draft.conditions.len());
    for (index, elements, place) in &draft.conditions {
        let place = Path::Written(place);
        let path = place.member("enableWhen");
        let mut conditions = Vec::with_capacity(elements.len());
        for (position, element) in elements.iter().enumerate() {
            let path = path.element(position);
            if let Some(members) = reading::object(element, &path, problems) {
                conditions.extend(read_condition(draft, *index, members, &path, problems));
            }
        }
        resolved.push((*index, conditions));
    }
    for (index, conditions) in resolved {
        draft.items[index.position()].conditions = conditions;
    }
}

fn read_condition(
    draft: &Draft<'_>,
    index: ItemIndex,
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<Condition> {
    let link_id = draft.items[index.position()].link_id.as_str();
    let operator = reading::required_text(members, "operator", path, problems).and_then(|code| {
        let operator = Operator::from_code(code);
        if operator.is_none() {
            let expected = "one of exists, =, !=, >, <, >= and <=";
            problems.add_for(link_id, path.member("operator"), Rule::EnableWhen, expected);
        }
        operator
    });
    let question =
        reading::required_text(members, "question", path, problems).and_then(|name| {
            let question = draft.by_link_id.get(name).copied();
            if question.is_none_or(|question| !draft.items[question.position()].kind.is_question())
            {
                let expected = "the linkId of a question of this questionnaire";
                problems.add_for(link_id, path.member("question"), Rule::EnableWhen, expected);
                return None;
            }
            question
        })?;
    let expected = read_expectation(
        &draft.items[question.position()],
        operator?,
        members,
        path,
        problems,
    )?;
    Some(Condition {
        question,
        operator: operator?,
        expected,
        scope: scope(draft, index, question),
    })
}

fn read_expectation(
    question: &Item,
    operator: Operator,
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<Expectation> {
    let Ok(Some((suffix, value))) = typed_member(members, "answer") else {
        problems.add(
            path,
            Rule::EnableWhen,
            "exactly one answer to compare with, as answerCoding",
        );
        return None;
    };
    let path = Path::Member(path, "answer");
    if operator == Operator::Exists {
        let expected = value.as_bool().filter(|_| suffix == "Boolean");
        if expected.is_none() {
            problems.add(
                path,
                Rule::EnableWhen,
                "answerBoolean with the operator exists",
            );
        }
        return expected.map(Expectation::Answered);
    }
    if operator.orders()
        && !matches!(
            question.kind,
            ItemKind::Integer | ItemKind::Decimal | ItemKind::Date
        )
    {
        let expected = format!(
            "one of exists, = and !=, because the question `{}` is of type {}, which has no order",
            question.link_id,
            question.kind.code()
        );
        problems.add(path, Rule::EnableWhen, expected);
        return None;
    }
    match read_answer(question, suffix, value) {
        Ok(answer) => Some(Expectation::Value(answer)),
        Err(refusal) => {
            let expected = format!(
                "an answer that `{}` can have ({})",
                question.link_id, refusal.expected
            );
            problems.add(path, refusal.rule, expected);
            None
        }
    }
}

/// The smallest item around both, the question itself included.
fn scope(draft: &Draft<'_>, item: ItemIndex, question: ItemIndex) -> Option<ItemIndex> {
    let around_item: HashSet<ItemIndex> = draft.ancestors(item).collect();
    std::iter::once(question)
        .chain(draft.ancestors(question))
        .find(|candidate| around_item.contains(candidate))
}
