//! Reads and checks the scoring that a questionnaire declares.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Algorithm, Scoring, algorithm, algorithms};
use crate::instrument::{
    Item, ItemIndex, ItemKind, Path, Problems, Rule, extensions, typed_member,
};

const SCORING: &str = "urn:cohort:scoring";

/// Reads all scorings of a questionnaire whose items are already read.
pub(crate) fn read_declarations(
    members: &Map<String, Value>,
    items: &[Item],
    by_link_id: &HashMap<String, ItemIndex>,
    problems: &mut Problems,
) -> Vec<Scoring> {
    let root = Path::Root;
    let path = root.member("extension");
    let mut scorings: Vec<Scoring> = Vec::new();
    for (position, declaration) in extensions(members, SCORING) {
        let path = path.element(position);
        let mut reader = Reader {
            items,
            by_link_id,
            problems,
        };
        if let Some(scoring) = reader.read(declaration, &path) {
            if scorings
                .iter()
                .any(|other| other.algorithm.id == scoring.algorithm.id)
            {
                problems.add(path, Rule::Duplicate, "each algorithm once");
            }
            scorings.push(scoring);
        }
    }
    scorings
}

struct Reader<'r> {
    items: &'r [Item],
    by_link_id: &'r HashMap<String, ItemIndex>,
    problems: &'r mut Problems,
}

impl Reader<'_> {
    fn read(&mut self, declaration: &Map<String, Value>, path: &Path<'_>) -> Option<Scoring> {
        let id = self
            .texts(declaration, "algorithm", path)
            .into_iter()
            .next();
        let Some(algorithm) = id.and_then(|(id, _)| algorithm(id)) else {
            let known: Vec<&str> = algorithms().iter().map(|algorithm| algorithm.id).collect();
            self.problems.add(
                path,
                Rule::Scoring,
                format!("one algorithm of {}", known.join(", ")),
            );
            return None;
        };
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let named = self.texts(declaration, "item", path);
        if named.len() != algorithm.item_count {
            let expected = format!(
                "{} items, as many as {} sums",
                algorithm.item_count, algorithm.id
            );
            self.problems.add(path, Rule::Scoring, expected);
        }
        for (link_id, place) in named {
            if let Some(index) = self.find(link_id, &place) {
                self.check_item(index, algorithm, &place);
                if !seen.insert(index) {
                    self.problems.add_for(
                        link_id,
                        place,
                        Rule::Duplicate,
                        "each item once in a score",
                    );
                }
                items.push(index);
            }
        }
        let total = self
            .texts(declaration, "total", path)
            .into_iter()
            .next()
            .and_then(|(link_id, place)| {
                let index = self.find(link_id, &place)?;
                self.check_total(index, &place);
                Some(index)
            });
        Some(Scoring {
            algorithm,
            items,
            total,
        })
    }

    /// The texts of the inner extensions with this url, with their places.
    fn texts<'j>(
        &mut self,
        declaration: &'j Map<String, Value>,
        url: &str,
        path: &Path<'_>,
    ) -> Vec<(&'j str, String)> {
        let path = path.member("extension");
        let mut texts = Vec::new();
        for (position, extension) in extensions(declaration, url) {
            let place = path.element(position);
            match typed_member(extension, "value") {
                Ok(Some(("String", Value::String(text)))) => {
                    texts.push((text.as_str(), place.to_string()))
                }
                _ => self.problems.add(place, Rule::Type, "valueString"),
            }
        }
        texts
    }

    fn find(&mut self, link_id: &str, place: &str) -> Option<ItemIndex> {
        let index = self.by_link_id.get(link_id).copied();
        if index.is_none() {
            self.problems.add(
                place,
                Rule::Scoring,
                "the linkId of an item of this questionnaire",
            );
        }
        index
    }

    fn check_item(&mut self, index: ItemIndex, algorithm: &Algorithm, place: &str) {
        let item = &self.items[index.position()];
        #[expect(clippy::cast_precision_loss, reason = "the maximum is a small number")]
        let range = 0.0..=algorithm.item_maximum as f64;
        let scored = |score: Option<f64>| {
            score.is_some_and(|score| score.fract() == 0.0 && range.contains(&score))
        };
        if item.kind != ItemKind::Choice || !item.options.iter().all(|option| scored(option.score))
        {
            let expected = format!(
                "a choice item whose options all have a whole ordinalValue from 0 to {}",
                algorithm.item_maximum
            );
            self.problems
                .add_for(&item.link_id, place, Rule::Scoring, expected);
        }
        self.check_single(index, place);
    }

    fn check_total(&mut self, index: ItemIndex, place: &str) {
        let item = &self.items[index.position()];
        if item.kind != ItemKind::Integer || !item.read_only {
            self.problems.add_for(
                &item.link_id,
                place,
                Rule::Scoring,
                "a readOnly item of type integer for the total",
            );
        }
        self.check_single(index, place);
    }

    /// An item that may occur once only.
    fn check_single(&mut self, index: ItemIndex, place: &str) {
        let around =
            std::iter::successors(Some(index), |index| self.items[index.position()].parent);
        if around
            .into_iter()
            .any(|index| self.items[index.position()].repeats)
        {
            let item = &self.items[index.position()];
            self.problems.add_for(
                &item.link_id,
                place,
                Rule::Scoring,
                "an item that does not repeat, nor do its groups",
            );
        }
    }
}
