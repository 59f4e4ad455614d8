//! The stacks of a profile merged from the root, for people: as folded text, JSON, and the flame
//! graph. The first level is the route, or the thread where there is none.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::profile::Profile;

/// A function with what was counted in it and below it.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// In the unit of the profile's default type.
    pub(crate) value: i64,
    /// The largest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Node>,
}

/// Merges the stacks of a profile, by its default type.
pub(crate) fn of(profile: &Profile) -> Node {
    let mut root = Building::default();
    for (path, value) in paths(profile) {
        root.add(path, value);
    }
    root.finish("all".to_owned())
}

/// One line a stack: names from the root, separated by semicolons, a space, and the number.
pub(crate) fn folded(profile: &Profile) -> String {
    let mut lines: HashMap<String, i64> = HashMap::new();
    for (path, value) in paths(profile) {
        let names: Vec<String> = path
            .into_iter()
            .map(|name| name.replace(';', ","))
            .collect();
        *lines.entry(names.join(";")).or_default() += value;
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort();
    lines
        .into_iter()
        .fold(String::new(), |mut text, (line, value)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line} {value}");
            text
        })
}

fn paths(profile: &Profile) -> impl Iterator<Item = (Vec<&str>, i64)> {
    let column = profile
        .types
        .iter()
        .position(|(kind, _)| *kind == profile.default_type);
    let column = column.unwrap_or(0);
    profile.samples.iter().map(move |sample| {
        let mut path = Vec::new();
        for key in ["route", "thread"] {
            if path.is_empty() {
                let label = sample.labels.iter().find(|(name, _)| *name == key);
                path.extend(label.map(|(_, value)| value.as_str()));
            }
        }
        for &number in sample.locations.iter().rev() {
            let Some(location) = profile.locations.get(number) else {
                continue;
            };
            if location.lines.is_empty() {
                let image = location.image.and_then(|image| profile.images.get(image));
                path.push(image.map_or("?", |image| image.short_name()));
            }
            let functions = location.lines.iter().rev();
            path.extend(functions.filter_map(|&(number, _)| {
                profile
                    .functions
                    .get(number)
                    .map(|function| function.name.as_str())
            }));
        }
        let value = sample.values.get(column).copied().unwrap_or(0);
        (path, value)
    })
}

#[derive(Default)]
struct Building {
    value: i64,
    children: HashMap<String, Building>,
}

impl Building {
    fn add(&mut self, path: Vec<&str>, value: i64) {
        let mut node = self;
        node.value += value;
        for name in path {
            if !node.children.contains_key(name) {
                node.children.insert(name.to_owned(), Self::default());
            }
            let Some(child) = node.children.get_mut(name) else {
                return;
            };
            child.value += value;
            node = child;
        }
    }

    fn finish(self, name: String) -> Node {
        let mut children: Vec<Node> = self
            .children
            .into_iter()
            .map(|(name, child)| child.finish(name))
            .collect();
        children.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
        Node {
            name,
            value: self.value,
            children,
        }
    }
}
