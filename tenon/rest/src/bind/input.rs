//! The parts of a request as generated code reads them.

use std::{borrow::Cow, cell::Cell, cell::OnceCell};

use serde::de::DeserializeSeed;
use tenon_core::{Error, Result, Violation, catalogue, config::JSON_DEPTH_MAX};

use super::{
    At, Field, Json, Parts, Slot, Text,
    depth::is_deeper,
    json::{Reader, element},
    report::{Place, Report},
    text::decode,
};

/// Reads a request with `binding`, and turns what it recorded into one error.
///
/// # Errors
/// `REQUEST_INVALID` with every violation, or `BODY_MALFORMED` when the body is not JSON.
pub fn read<T>(parts: &Parts<'_>, binding: impl FnOnce(&Input<'_>) -> Option<T>) -> Result<T> {
    let input = Input {
        parts,
        report: Report::new(parts.strict),
        query: OnceCell::new(),
        malformed: Cell::new(false),
    };
    let value = binding(&input);
    let malformed = input.malformed.get();
    let violations = input.report.into_violations();
    match value {
        _ if malformed => Err(catalogue::BODY_MALFORMED
            .error()
            .param("expected", "JSON")
            .violations(violations)),
        Some(value) if violations.is_empty() => Ok(value),
        None if violations.is_empty() => Err(Error::internal(
            "bind the request",
            "its type refused it without naming a violation",
        )),
        _ => Err(Error::invalid(violations)),
    }
}

/// The parts of a request, and what was found wrong in them so far.
pub struct Input<'a> {
    parts: &'a Parts<'a>,
    report: Report,
    /// The pairs of the query, split on first use: decoded names, values as they were sent.
    query: OnceCell<Vec<(Cow<'a, str>, &'a str)>>,
    malformed: Cell<bool>,
}

impl Input<'_> {
    /// A parameter of the path.
    pub fn path<T: Text>(&self, name: &'static str) -> Field<'_, T> {
        let at = At::top(&self.report, &Place::Path, name);
        let mut given = self.parts.path.iter().filter(|(key, _)| *key == name);
        let slot = given
            .next()
            .map_or(Slot::Absent, |(_, text)| parse(text, &at));
        Field::new(at, slot)
    }

    /// A query parameter that is given once. Empty text is absent, save for strings.
    pub fn query<T: Text>(&self, name: &'static str) -> Field<'_, T> {
        let at = At::top(&self.report, &Place::Query, name);
        let mut given = self.pairs(name);
        let Some(raw) = given.next() else {
            return Field::new(at, Slot::Absent);
        };
        if given.next().is_some() {
            at.refuse("duplicate", "the parameter once");
            return Field::new(at, Slot::Invalid);
        }
        let slot = match decode(raw, true) {
            Some(text) if text.is_empty() && !T::EMPTY => Slot::Absent,
            Some(text) => parse(&text, &at),
            None => refuse_encoding(&at),
        };
        Field::new(at, slot)
    }

    /// A query parameter that is a list: `a=1&a=2`, `a[]=1&a[]=2` or `a=1,2`. A comma that is
    /// percent-encoded does not split strings. Empty text is an empty list.
    pub fn query_list<T: Text>(&self, name: &'static str) -> Field<'_, Vec<T>> {
        let at = At::top(&self.report, &Place::Query, name);
        let raws: Vec<&str> = self.pairs(name).collect();
        if raws.is_empty() {
            return Field::new(at, Slot::Absent);
        }
        let mut texts = Vec::new();
        for raw in raws.iter().flat_map(|raw| raw.split(',')) {
            match decode(raw, true) {
                Some(text) if T::EMPTY => texts.push(text),
                Some(text) => texts.extend(text.split(',').map(|text| Cow::Owned(text.to_owned()))),
                None => return Field::new(at, refuse_encoding(&at)),
            }
        }
        let slot = parse_all(&texts, &at);
        Field::new(at, slot)
    }

    /// A header that is given once; its name may be written in any case. Empty text is absent,
    /// save for strings.
    pub fn header<T: Text>(&self, name: &'static str) -> Field<'_, T> {
        let at = At::top(&self.report, &Place::Header, name);
        let mut given = self.parts.headers.get_all(name).iter();
        let Some(value) = given.next() else {
            return Field::new(at, Slot::Absent);
        };
        if given.next().is_some() {
            at.refuse("duplicate", "the header once");
            return Field::new(at, Slot::Invalid);
        }
        let slot = match std::str::from_utf8(value.as_bytes()) {
            Ok("") if !T::EMPTY => Slot::Absent,
            Ok(text) => parse(text, &at),
            Err(_) => refuse_encoding(&at),
        };
        Field::new(at, slot)
    }

    /// A header that is a list: given several times, or with commas.
    pub fn header_list<T: Text>(&self, name: &'static str) -> Field<'_, Vec<T>> {
        let at = At::top(&self.report, &Place::Header, name);
        let mut texts = Vec::new();
        let mut given = false;
        for value in self.parts.headers.get_all(name) {
            given = true;
            match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => texts.extend(text.split(',').map(|item| Cow::Borrowed(item.trim()))),
                Err(_) => return Field::new(at, refuse_encoding(&at)),
            }
        }
        let slot = if given {
            parse_all(&texts, &at)
        } else {
            Slot::Absent
        };
        Field::new(at, slot)
    }

    /// Whether the query has the parameter, for rules about two fields.
    pub fn has_query(&self, name: &'static str) -> bool {
        self.pairs(name).next().is_some()
    }

    /// Whether the request has the header, for rules about two fields.
    pub fn has_header(&self, name: &'static str) -> bool {
        self.parts.headers.contains_key(name)
    }

    /// The body as JSON; `None` when something in it does not fit. Read it last: broken JSON
    /// ends the reading, and is reported with what was found before.
    pub fn body<T: Json>(&self) -> Option<T> {
        let at = At::body(&self.report);
        let bytes = if self.parts.body.iter().all(u8::is_ascii_whitespace) {
            T::empty_body()
        } else {
            self.parts.body
        };
        if bytes.is_empty() {
            at.refuse("required", T::EXPECTED);
            return None;
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(broken) => {
                self.malformed.set(true);
                let good = broken.valid_up_to();
                at.refuse("encoding", format!("UTF-8; it breaks after {good} bytes"));
                return None;
            }
        };
        let deepest = self.parts.json_depth;
        if is_deeper(bytes, deepest) {
            self.malformed.set(true);
            refuse_depth(deepest, &at);
            return None;
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let outcome = Reader::new(&at)
            .deserialize(&mut json)
            .and_then(|slot| json.end().map(|()| slot));
        match outcome {
            Ok(slot) => element(slot, &at),
            Err(error) => {
                self.malformed.set(true);
                refuse_syntax(&error, &at);
                None
            }
        }
    }

    /// The values of a query parameter as they were sent.
    fn pairs<'b>(&'b self, name: &'static str) -> impl Iterator<Item = &'b str> {
        let pairs = self.query.get_or_init(|| split(self.parts.query));
        pairs.iter().filter_map(move |(key, value)| {
            let key = key.strip_suffix("[]").unwrap_or(key);
            (key == name).then_some(*value)
        })
    }
}

/// The parameters of `path` as `pattern` names them, percent-decoded: what [`Parts::path`] wants.
/// `pattern` is a route of the contract (`/api/v1/patient/:patientId`) that `path` matched.
///
/// # Errors
/// `REQUEST_INVALID`, naming each parameter with a broken escape or bytes that are not UTF-8.
pub fn path_parameters<'a>(
    pattern: &'a str,
    path: &'a str,
) -> Result<Vec<(&'a str, Cow<'a, str>)>> {
    let mut found = Vec::new();
    let mut broken = Vec::new();
    for (segment, raw) in pattern.split('/').zip(path.split('/')) {
        let Some(name) = segment.strip_prefix(':') else {
            continue;
        };
        match decode(raw, false) {
            Some(text) => found.push((name, text)),
            None => broken.push(Violation::at("path", name, "encoding", ENCODING)),
        }
    }
    if broken.is_empty() {
        Ok(found)
    } else {
        Err(Error::invalid(broken))
    }
}

const ENCODING: &str = "UTF-8 text with whole percent escapes";

fn split(query: &str) -> Vec<(Cow<'_, str>, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A name that cannot be read is no name of the contract.
            Some((decode(key, true)?, value))
        })
        .collect()
}

fn parse<T: Text>(text: &str, at: &At<'_>) -> Slot<T> {
    let value = T::parse(text);
    if value.is_none() {
        at.refuse("type", T::EXPECTED);
    }
    value.into()
}

fn parse_all<T: Text>(texts: &[Cow<'_, str>], at: &At<'_>) -> Slot<Vec<T>> {
    if let [only] = texts
        && only.is_empty()
    {
        return Slot::Value(Vec::new());
    }
    let mut items = Some(Vec::with_capacity(texts.len()));
    for (index, text) in texts.iter().enumerate() {
        match (parse(text, &at.index(index)), &mut items) {
            (Slot::Value(item), Some(items)) => items.push(item),
            _ => items = None,
        }
    }
    items.into()
}

fn refuse_encoding<T>(at: &At<'_>) -> Slot<T> {
    at.refuse("encoding", ENCODING);
    Slot::Invalid
}

fn refuse_depth(deepest: usize, at: &At<'_>) {
    at.refuse("depth", format!("at most {deepest} levels of nesting"));
}

fn refuse_syntax(error: &serde_json::Error, at: &At<'_>) {
    // The parser gives no other sign of its limit than this text.
    if error.to_string().starts_with("recursion limit") {
        refuse_depth(JSON_DEPTH_MAX, at);
        return;
    }
    let (line, column) = (error.line(), error.column());
    let expected = format!("valid JSON; it breaks at line {line}, column {column}");
    at.refuse("syntax", expected);
}
