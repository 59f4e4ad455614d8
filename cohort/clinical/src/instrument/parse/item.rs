//! Reads the items: types, flags, options, limits.

use serde_json::{Map, Value};

use super::Draft;
use crate::instrument::answer::{check_limits, read_answer};
use crate::instrument::{
    AnswerOption, Bound, EnableBehavior, Item, ItemIndex, ItemKind, MAX_DEPTH, MAX_ITEMS,
    MAX_OPTIONS, OptionValue, PartialDate, Path, Problems, Rule, extensions, reading, typed_member,
};

const ORDINAL_VALUE: &str = "http://hl7.org/fhir/StructureDefinition/ordinalValue";
const ITEM_WEIGHT: &str = "http://hl7.org/fhir/StructureDefinition/itemWeight";
const MIN_VALUE: &str = "http://hl7.org/fhir/StructureDefinition/minValue";
const MAX_VALUE: &str = "http://hl7.org/fhir/StructureDefinition/maxValue";

/// Reads the `item` member of the questionnaire or of an item, and everything below it.
pub(super) fn read_items<'j>(
    draft: &mut Draft<'j>,
    members: &'j Map<String, Value>,
    parent: Option<ItemIndex>,
    path: &Path<'_>,
    depth: usize,
    problems: &mut Problems,
) {
    let elements = reading::array(members, "item", path, problems);
    let path = path.member("item");
    if depth > MAX_DEPTH && !elements.is_empty() {
        problems.add(
            path,
            Rule::Limit,
            format!("at most {MAX_DEPTH} levels of items"),
        );
        return;
    }
    for (position, element) in elements.iter().enumerate() {
        let path = path.element(position);
        if draft.items.len() >= MAX_ITEMS {
            problems.add(path, Rule::Limit, format!("at most {MAX_ITEMS} items"));
            return;
        }
        if let Some(members) = reading::object(element, &path, problems) {
            read_item(draft, members, parent, &path, depth, problems);
        }
    }
}

fn read_item<'j>(
    draft: &mut Draft<'j>,
    members: &'j Map<String, Value>,
    parent: Option<ItemIndex>,
    path: &Path<'_>,
    depth: usize,
    problems: &mut Problems,
) {
    let link_id = reading::required_text(members, "linkId", path, problems).unwrap_or_default();
    let kind = read_kind(members, link_id, path, problems);
    let mut item = Item {
        link_id: link_id.to_owned(),
        // An item whose type is not known is read on as a group, so that what is below it is checked too.
        kind: kind.unwrap_or(ItemKind::Group),
        prefix: reading::text(members, "prefix", path, problems).map(str::to_owned),
        text: reading::text(members, "text", path, problems).map(str::to_owned),
        required: reading::flag(members, "required", path, problems),
        repeats: reading::flag(members, "repeats", path, problems),
        read_only: reading::flag(members, "readOnly", path, problems),
        max_length: None,
        options: Vec::new(),
        minimum: None,
        maximum: None,
        initial: Vec::new(),
        parent,
        children: Vec::new(),
        conditions: Vec::new(),
        behavior: EnableBehavior::default(),
        demands: false,
    };
    if kind.is_some() {
        item.max_length = read_max_length(members, &item, path, problems);
        item.options = read_options(members, &item, path, problems);
        item.minimum = read_bound(members, &item, MIN_VALUE, path, problems);
        item.maximum = read_bound(members, &item, MAX_VALUE, path, problems);
        check_bounds(&item, path, problems);
        item.initial = read_initial(members, &item, path, problems);
        check_structure(members, &item, path, problems);
    }
    item.behavior = read_behavior(members, path, problems);
    item.demands = item.required;
    // The number of items is bounded far below what an index can hold.
    let index = ItemIndex(u32::try_from(draft.items.len()).unwrap_or(u32::MAX));
    if !link_id.is_empty() && draft.by_link_id.insert(link_id.to_owned(), index).is_some() {
        problems.add_for(
            link_id,
            path.member("linkId"),
            Rule::Duplicate,
            "a linkId that no other item has",
        );
    }
    let conditions = reading::array(members, "enableWhen", path, problems);
    if !conditions.is_empty() {
        draft.conditions.push((index, conditions, path.to_string()));
    }
    let demands = item.demands;
    draft.items.push(item);
    if let Some(parent) = parent {
        draft.items[parent.position()].children.push(index);
    }
    if demands {
        let ancestors: Vec<ItemIndex> = draft.ancestors(index).collect();
        for ancestor in ancestors {
            draft.items[ancestor.position()].demands = true;
        }
    }
    read_items(draft, members, Some(index), path, depth + 1, problems);
}

fn read_kind(
    members: &Map<String, Value>,
    link_id: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<ItemKind> {
    let code = reading::required_text(members, "type", path, problems)?;
    let kind = ItemKind::from_code(code);
    if kind.is_none() {
        let supported: Vec<&str> = ItemKind::ALL.iter().map(|kind| kind.code()).collect();
        problems.add_for(
            link_id,
            path.member("type"),
            Rule::Unsupported,
            format!("one of the supported types {}", supported.join(", ")),
        );
    }
    kind
}

/// What FHIR forbids or this crate does not evaluate.
fn check_structure(
    members: &Map<String, Value>,
    item: &Item,
    path: &Path<'_>,
    problems: &mut Problems,
) {
    let link_id = &item.link_id;
    for name in ["modifierExtension", "answerValueSet"] {
        if members.contains_key(name) {
            let expected =
                "no such member: it cannot be evaluated here; list the options as answerOption";
            problems.add_for(link_id, path.member(name), Rule::Unsupported, expected);
        }
    }
    let has_children = members
        .get("item")
        .and_then(Value::as_array)
        .is_some_and(|children| !children.is_empty());
    if item.kind == ItemKind::Display
        && (item.required || item.repeats || item.read_only || has_children)
    {
        problems.add_for(
            link_id,
            path,
            Rule::Structure,
            "a display item without required, repeats, readOnly and items",
        );
    }
    if item.kind == ItemKind::Group && !has_children {
        problems.add_for(
            link_id,
            path.member("item"),
            Rule::Required,
            "at least one item in the group",
        );
    }
    if item.kind.is_question() && item.repeats && has_children {
        let expected = "no items under a question that repeats; use a repeating group";
        problems.add_for(link_id, path.member("item"), Rule::Unsupported, expected);
    }
    if item.kind.is_choice() && item.options.is_empty() && !members.contains_key("answerValueSet") {
        problems.add_for(
            link_id,
            path.member("answerOption"),
            Rule::Required,
            "at least one option",
        );
    }
}

fn read_max_length(
    members: &Map<String, Value>,
    item: &Item,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<u32> {
    let value = members.get("maxLength")?;
    let path = path.member("maxLength");
    if !matches!(
        item.kind,
        ItemKind::String | ItemKind::Text | ItemKind::OpenChoice
    ) {
        problems.add_for(
            &item.link_id,
            path,
            Rule::Structure,
            "maxLength on string, text and open-choice items only",
        );
        return None;
    }
    let length = value
        .as_u64()
        .and_then(|length| u32::try_from(length).ok())
        .filter(|length| *length > 0);
    if length.is_none() {
        problems.add_for(&item.link_id, path, Rule::Type, "a whole number from 1");
    }
    length
}

fn read_behavior(
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> EnableBehavior {
    let several = members
        .get("enableWhen")
        .and_then(Value::as_array)
        .is_some_and(|conditions| conditions.len() > 1);
    match members.get("enableBehavior").map(Value::as_str) {
        None if several => {
            problems.add(
                path.member("enableBehavior"),
                Rule::Required,
                "all or any, since there are several conditions",
            );
            EnableBehavior::All
        }
        None | Some(Some("all")) => EnableBehavior::All,
        Some(Some("any")) => EnableBehavior::Any,
        Some(_) => {
            problems.add(path.member("enableBehavior"), Rule::Type, "all or any");
            EnableBehavior::All
        }
    }
}

fn read_options(
    members: &Map<String, Value>,
    item: &Item,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Vec<AnswerOption> {
    let elements = reading::array(members, "answerOption", path, problems);
    let path = path.member("answerOption");
    if !elements.is_empty() && !item.kind.is_choice() {
        problems.add_for(
            &item.link_id,
            path,
            Rule::Structure,
            "options on choice and open-choice items only",
        );
        return Vec::new();
    }
    if elements.len() > MAX_OPTIONS {
        problems.add_for(
            &item.link_id,
            path,
            Rule::Limit,
            format!("at most {MAX_OPTIONS} options"),
        );
        return Vec::new();
    }
    let mut options: Vec<AnswerOption> = Vec::with_capacity(elements.len());
    let mut seen = std::collections::HashSet::new();
    for (position, element) in elements.iter().enumerate() {
        let path = path.element(position);
        let Some(members) = reading::object(element, &path, problems) else {
            continue;
        };
        let Some(value) = read_option_value(members, &path, problems) else {
            continue;
        };
        let key = match &value {
            OptionValue::Coding { system, code, .. } => (0, system.clone(), code.clone()),
            OptionValue::Integer(number) => (1, None, number.to_string()),
            OptionValue::Text(text) => (2, None, text.clone()),
        };
        if !seen.insert(key) {
            problems.add_for(
                &item.link_id,
                path,
                Rule::Duplicate,
                "an option that differs from all others",
            );
        }
        let score = read_score(members, &path, problems);
        options.push(AnswerOption { value, score });
    }
    options
}

fn read_option_value(
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<OptionValue> {
    match typed_member(members, "value") {
        Ok(Some(("Coding", value))) => {
            let path = path.member("valueCoding");
            let coding = reading::object(value, &path, problems)?;
            let code = reading::required_text(coding, "code", &path, problems)?.to_owned();
            let system = reading::text(coding, "system", &path, problems).map(str::to_owned);
            let display = reading::text(coding, "display", &path, problems).map(str::to_owned);
            Some(OptionValue::Coding {
                system,
                code,
                display,
            })
        }
        Ok(Some(("Integer", value)))
            if value
                .as_i64()
                .is_some_and(|value| i32::try_from(value).is_ok()) =>
        {
            value.as_i64().map(OptionValue::Integer)
        }
        Ok(Some(("String", Value::String(text)))) if !text.trim().is_empty() => {
            Some(OptionValue::Text(text.clone()))
        }
        _ => {
            problems.add(
                path,
                Rule::Unsupported,
                "one of valueCoding, valueInteger and valueString",
            );
            None
        }
    }
}

/// The weight of an option: `ordinalValue` or `itemWeight`, on the option or on its coding.
fn read_score(
    members: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<f64> {
    let coding = members.get("valueCoding").and_then(Value::as_object);
    let (_, extension) = [Some(members), coding]
        .into_iter()
        .flatten()
        .flat_map(|holder| [ORDINAL_VALUE, ITEM_WEIGHT].map(|url| extensions(holder, url)))
        .flatten()
        .next()?;
    let score = match typed_member(extension, "value") {
        Ok(Some(("Decimal" | "Integer", value))) => {
            value.as_f64().filter(|score| score.is_finite())
        }
        _ => None,
    };
    if score.is_none() {
        problems.add(
            path.member("extension"),
            Rule::Type,
            "a score as valueDecimal",
        );
    }
    score
}

fn read_bound(
    members: &Map<String, Value>,
    item: &Item,
    url: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<Bound> {
    let (position, extension) = extensions(members, url).next()?;
    let bound = match (item.kind, typed_member(extension, "value")) {
        (ItemKind::Integer, Ok(Some(("Integer", value)))) => value.as_i64().map(Bound::Integer),
        // Forms often write whole limits of decimal items as integers.
        (ItemKind::Decimal, Ok(Some(("Decimal" | "Integer", value)))) => {
            value.as_f64().map(Bound::Decimal)
        }
        (ItemKind::Date, Ok(Some(("Date", value)))) => {
            value.as_str().and_then(PartialDate::parse).map(Bound::Date)
        }
        _ => None,
    };
    if bound.is_none() {
        let expected = "a limit of the item's type, on integer, decimal and date items only";
        let path = path.member("extension");
        problems.add_for(&item.link_id, path.element(position), Rule::Type, expected);
    }
    bound
}

fn check_bounds(item: &Item, path: &Path<'_>, problems: &mut Problems) {
    let crossed = match (item.minimum, item.maximum) {
        (Some(Bound::Integer(minimum)), Some(Bound::Integer(maximum))) => minimum > maximum,
        (Some(Bound::Decimal(minimum)), Some(Bound::Decimal(maximum))) => minimum > maximum,
        (Some(Bound::Date(minimum)), Some(Bound::Date(maximum))) => {
            minimum.earliest() > maximum.latest()
        }
        _ => false,
    };
    if crossed {
        problems.add_for(
            &item.link_id,
            path.member("extension"),
            Rule::Minimum,
            "a minValue that is not above maxValue",
        );
    }
}

fn read_initial(
    members: &Map<String, Value>,
    item: &Item,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Vec<crate::instrument::AnswerValue> {
    let elements = reading::array(members, "initial", path, problems);
    let path = path.member("initial");
    if elements.len() > 1 && !item.repeats {
        problems.add_for(
            &item.link_id,
            path,
            Rule::TooMany,
            "one initial value, since the item does not repeat",
        );
    }
    let mut values = Vec::with_capacity(elements.len());
    for (position, element) in elements.iter().enumerate() {
        let path = path.element(position);
        let Some(members) = reading::object(element, &path, problems) else {
            continue;
        };
        let Ok(Some((suffix, value))) = typed_member(members, "value") else {
            problems.add_for(&item.link_id, path, Rule::Type, "exactly one value");
            continue;
        };
        match read_answer(item, suffix, value)
            .and_then(|answer| check_limits(item, &answer).map(|()| answer))
        {
            Ok(answer) => values.push(answer),
            Err(refusal) => problems.add_for(&item.link_id, path, refusal.rule, refusal.expected),
        }
    }
    values
}
