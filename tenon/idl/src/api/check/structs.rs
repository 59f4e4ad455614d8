//! Drafts to structs: embedded types are flattened, self-containing types found.

use std::collections::HashMap;

use super::Checker;
use super::types::{Draft, Member};
use crate::model::{Field, Presence, Source, Struct, Type};

/// A field on its way into a struct, with the number of embeddings that it came through.
struct Placed {
    depth: usize,
    field: Field,
}

impl Checker<'_> {
    pub(super) fn structs(&mut self, drafts: Vec<Draft>) -> Vec<Struct> {
        let index: HashMap<&str, usize> = drafts
            .iter()
            .enumerate()
            .map(|(index, draft)| (draft.name.as_str(), index))
            .collect();
        let mut structs = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            let mut placed = Vec::new();
            self.flatten(&drafts, &index, &mut vec![at], &mut placed, false);
            let fields = self.settle(placed, &draft.name);
            self.check_presence(&fields);
            structs.push(Struct {
                name: draft.name.clone(),
                docs: draft.docs.clone(),
                fields,
                lifted_from: draft.lifted_from.clone(),
                place: draft.place,
            });
        }
        self.box_cycles(&mut structs);
        structs
    }

    /// Adds the fields of the last draft of `chain` and of what it embeds.
    fn flatten(
        &mut self,
        drafts: &[Draft],
        index: &HashMap<&str, usize>,
        chain: &mut Vec<usize>,
        placed: &mut Vec<Placed>,
        optional: bool,
    ) {
        let Some(at) = chain.last().copied() else {
            return;
        };
        let depth = chain.len() - 1;
        for member in &drafts[at].members {
            match member {
                Member::Field(field) => {
                    let mut field = Field::clone(field);
                    field.optional |= optional;
                    field.embedded_from = (depth > 0).then(|| drafts[at].name.clone());
                    placed.push(Placed { depth, field });
                }
                Member::Embedded {
                    type_name,
                    optional: own,
                    place,
                } => {
                    let Some(inner) = index.get(type_name.as_str()).copied() else {
                        continue;
                    };
                    if chain.contains(&inner) {
                        // The type itself reports its cycle; others that embed it need not.
                        if chain.first() == Some(&inner) {
                            self.report(*place, format!("type `{type_name}` embeds itself"));
                        }
                        continue;
                    }
                    if self.incomplete.contains(type_name)
                        && let Some(outer) = chain.first()
                    {
                        self.incomplete.insert(drafts[*outer].name.clone());
                    }
                    chain.push(inner);
                    self.flatten(drafts, index, chain, placed, optional || *own);
                    chain.pop();
                }
            }
        }
    }

    /// Go's rule for equal wire names: the one embedded least deeply wins. What Go drops
    /// silently (equal depth) and what Rust cannot have (equal names) is reported.
    fn settle(&mut self, placed: Vec<Placed>, owner: &str) -> Vec<Field> {
        let mut kept: Vec<Placed> = Vec::new();
        for new in placed {
            let Some(at) = kept
                .iter()
                .position(|old| same_wire(&old.field, &new.field))
            else {
                kept.push(new);
                continue;
            };
            let old = &kept[at];
            if old.depth == new.depth {
                let first = self.line_of(old.field.place);
                let field = &new.field;
                self.report_with(
                    field.place,
                    format!(
                        "`{owner}` has two {} fields called `{}`",
                        field.source, field.wire_name
                    ),
                    format!("the other is at {first}"),
                );
            } else if new.depth < old.depth {
                kept[at] = new;
            }
        }
        for (at, item) in kept.iter().enumerate() {
            let field = &item.field;
            if let Some(other) = kept[..at]
                .iter()
                .find(|other| other.field.name == field.name)
            {
                let first = self.line_of(other.field.place);
                self.report_with(
                    field.place,
                    format!("`{owner}` has two fields named `{}`", field.name),
                    format!("the other is at {first}"),
                );
            }
        }
        kept.into_iter().map(|item| item.field).collect()
    }

    /// `optional=other` must name a field of the same struct and source.
    fn check_presence(&mut self, fields: &[Field]) {
        for field in fields {
            let Some(Presence::With(other) | Presence::Without(other)) = &field.presence else {
                continue;
            };
            let known = fields.iter().any(|item| {
                item.source == field.source && item.wire_name == *other && item.name != field.name
            });
            if !known {
                let message = format!(
                    "`optional` of field `{}` names `{other}`, which is no other {} field here",
                    field.name, field.source
                );
                self.report(field.place, message);
            }
        }
    }

    /// Marks the optional fields through which a type contains itself; a type that does so
    /// through required fields alone can have no value and is reported.
    fn box_cycles(&mut self, structs: &mut [Struct]) {
        let index: HashMap<String, usize> = structs
            .iter()
            .enumerate()
            .map(|(index, item)| (item.name.clone(), index))
            .collect();
        let edges = |required_only: bool, structs: &[Struct]| -> Vec<Vec<usize>> {
            structs
                .iter()
                .map(|item| {
                    let fields = item
                        .fields
                        .iter()
                        .filter(|field| !(required_only && field.optional));
                    fields
                        .filter_map(|field| index.get(contained(&field.ty)?).copied())
                        .collect()
                })
                .collect()
        };
        let required = edges(true, structs);
        for (at, item) in structs.iter().enumerate() {
            if required[at]
                .iter()
                .any(|next| reaches(&required, *next, at))
            {
                self.report_with(
                    item.place,
                    format!(
                        "type `{}` contains itself, so no value of it can end",
                        item.name
                    ),
                    "make a field on the way a pointer, `optional` or a list",
                );
            }
        }
        let all = edges(false, structs);
        for (at, item) in structs.iter_mut().enumerate() {
            for field in item.fields.iter_mut().filter(|field| field.optional) {
                let next = contained(&field.ty).and_then(|name| index.get(name).copied());
                field.boxed = next.is_some_and(|next| reaches(&all, next, at));
            }
        }
    }
}

fn same_wire(left: &Field, right: &Field) -> bool {
    left.source == right.source
        && left.source != Source::None
        && match left.source {
            Source::Header => left.wire_name.eq_ignore_ascii_case(&right.wire_name),
            _ => left.wire_name == right.wire_name,
        }
}

/// The struct whose value lies inside a value of the type.
fn contained(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(_, item) => contained(item),
        _ => None,
    }
}

fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(&edges[at]);
        }
    }
    false
}
