//! Finds the template that a path fits: a tree of segments for each HTTP method.
//!
//! At each segment a text goes before `*`, and `*` before `**`, with steps back where a branch
//! leads nowhere; so the outcome does not depend on the order of the rules. Each node is visited
//! at most once for a path, because its depth is its place in the path.

use std::collections::{BTreeMap, HashMap};

use http::Method;

use super::template::{Segment, Template, decode};

/// What an HTTP rule asks of the method of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// This method.
    Method(String),
    /// `custom: { kind: "*" }`: any.
    Any,
}

/// Templates with what they stand for.
#[derive(Debug)]
pub struct Matcher<T> {
    trees: BTreeMap<Verb, Node>,
    rules: Vec<(Template, T)>,
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        Self {
            trees: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// Places are indexes of rules.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    one: Option<Box<Node>>,
    /// Rules that end here, by their verb after the colon.
    ends: Vec<(Option<String>, usize)>,
    /// Rules that end here in `**`.
    rests: Vec<(Option<String>, usize)>,
}

/// What a path fits.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// The template.
    pub template: &'a Template,
    /// What it stands for.
    pub rule: &'a T,
    path: Vec<&'a str>,
}

impl<T> Match<'_, T> {
    /// The values of the template's variables, in its order. `None` for one whose encoding is
    /// broken.
    pub fn values(&self) -> impl Iterator<Item = Option<String>> {
        let variables = self.template.variables().iter();
        variables.map(|variable| variable.value(&self.path))
    }
}

impl<T> Matcher<T> {
    /// Adds a rule.
    ///
    /// # Errors
    /// Another rule takes the same paths; it is handed back.
    pub fn insert(&mut self, verb: Verb, template: Template, rule: T) -> Result<(), &T> {
        let at = self.rules.len();
        let mut node = self.trees.entry(verb).or_default();
        let mut rest = false;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Rest => {
                    rest = true;
                    break;
                }
            };
        }
        let ends = if rest {
            &mut node.rests
        } else {
            &mut node.ends
        };
        let same = ends
            .iter()
            .find(|(verb, _)| verb.as_deref() == template.verb());
        if let Some((_, other)) = same {
            let other = *other;
            return Err(&self.rules[other].1);
        }
        ends.push((template.verb().map(str::to_owned), at));
        self.rules.push((template, rule));
        Ok(())
    }

    /// The rule for a request; `HEAD` goes where `GET` goes.
    pub fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<Match<'a, T>> {
        let method = match *method {
            Method::HEAD => Method::GET.as_str(),
            _ => method.as_str(),
        };
        let own = self.trees.get(&Verb::Method(method.to_owned()));
        own.and_then(|tree| self.find_in(tree, path)).or_else(|| {
            let any = self.trees.get(&Verb::Any)?;
            self.find_in(any, path)
        })
    }

    /// The methods with which a path would fit.
    pub fn methods(&self, path: &str) -> Vec<Method> {
        let fitting = self.trees.iter().filter_map(|(verb, tree)| match verb {
            Verb::Method(name) if self.find_in(tree, path).is_some() => name.parse().ok(),
            _ => None,
        });
        fitting.collect()
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &T> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    fn find_in<'a>(&'a self, tree: &'a Node, path: &'a str) -> Option<Match<'a, T>> {
        let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        // A colon that is data comes encoded, or fits no rule with a verb.
        let last = segments.last().copied().unwrap_or_default();
        if let Some((before, verb)) = last.rsplit_once(':') {
            let end = segments.len() - 1;
            segments[end] = before;
            if let Some(at) = tree.walk(&segments, Some(verb)) {
                return Some(self.fitting(at, segments));
            }
            segments[end] = last;
        }
        let at = tree.walk(&segments, None)?;
        Some(self.fitting(at, segments))
    }

    fn fitting<'a>(&'a self, at: usize, path: Vec<&'a str>) -> Match<'a, T> {
        let (template, rule) = &self.rules[at];
        Match {
            template,
            rule,
            path,
        }
    }
}

impl Node {
    fn walk(&self, path: &[&str], verb: Option<&str>) -> Option<usize> {
        let of = |ends: &[(Option<String>, usize)]| {
            let own = ends.iter().find(|(own, _)| own.as_deref() == verb);
            own.map(|(_, at)| *at)
        };
        let Some((first, rest)) = path.split_first() else {
            return of(&self.ends).or_else(|| of(&self.rests));
        };
        let literal = self.literals.get(*first).or_else(|| {
            let decoded = first.contains('%').then(|| decode(first, false))??;
            self.literals.get(&decoded)
        });
        literal
            .and_then(|node| node.walk(rest, verb))
            .or_else(|| {
                let one = self.one.as_ref().filter(|_| !first.is_empty())?;
                one.walk(rest, verb)
            })
            .or_else(|| of(&self.rests))
    }
}
