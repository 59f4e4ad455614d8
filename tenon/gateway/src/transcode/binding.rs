//! One rule of one method, checked against the contract, and how a request becomes the message
//! that the method takes: the body first, then the path, then the query.

use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage,
    SerializeOptions, Value,
};
use serde_json::Value as Json;
use tenon_core::{Code, Entry, Error, Result, Violation, catalogue, config::JSON_DEPTH_MAX};

use super::{
    json::{Reader, field_named},
    node::Node,
    raw::{self, Raw},
    report::Report,
    rule::Rule,
    template::{Template, decode},
    wellknown,
};

/// How deep a path or query may reach into messages, `a.b.c`. Contracts stay far below; a type
/// that holds itself has no end.
const STEPS_MAX: usize = 32;
/// How many parameters a query may have: as many as fit the longest target that a server takes
/// with names and values of a byte or two.
const PARAMETERS_MAX: usize = 1024;

/// A field within messages: those that lead to it, and itself.
type Chain = Vec<FieldDescriptor>;

/// A rule that fits its method.
#[derive(Debug, Clone)]
pub struct Binding {
    method: MethodDescriptor,
    rule: Rule,
    variables: Vec<Chain>,
    body: BodyRule,
    response: Option<FieldDescriptor>,
}

#[derive(Debug, Clone)]
enum BodyRule {
    None,
    Whole,
    Field(FieldDescriptor),
}

/// The body of a request, whole and not compressed.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The bytes.
    pub bytes: &'a Bytes,
    /// What `content-type` says of them; nothing without that.
    pub media_type: &'a str,
}

/// The service answered with what cannot be written as its contract says: a message of another
/// type, or one that holds a `google.protobuf.Any` of a type that the contract does not know.
pub static REPLY_UNMAPPABLE: Entry = Entry::new(
    "REPLY_UNMAPPABLE",
    Code::Internal,
    "the service answered with a message that cannot be written as JSON by its contract",
    "后端服务的应答无法按其契约写成 JSON",
)
.http(502);

/// How requests and answers are written.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    /// Whether fields and parameters that the contract does not know are passed over.
    pub ignore_unknown: bool,
    /// Whether fields with their default value are written.
    pub print_defaults: bool,
}

impl Binding {
    /// Checks a rule against its method.
    ///
    /// # Errors
    /// The template is not one; a field of the path, the body or the answer is not in the
    /// message, or of a kind that cannot stand there; the method takes a stream, and the rule has
    /// no body that it could come in.
    pub fn new(method: &MethodDescriptor, rule: Rule) -> Result<(Template, Self), String> {
        let template = Template::parse(&rule.path).map_err(|error| error.to_string())?;
        if method.is_client_streaming() && rule.body.is_empty() {
            let problem = "the method takes a stream, and its rule no body; write `body: \"*\"`, or the field that each line of the body is";
            return Err(problem.to_owned());
        }
        let input = method.input();
        let variables = template
            .variables()
            .iter()
            .map(|variable| path_field(&input, &variable.field))
            .collect::<Result<Vec<_>, _>>()?;
        let body = match rule.body.as_str() {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => BodyRule::Field(top_field(&input, name, "body")?),
        };
        let response = match rule.response_body.as_str() {
            "" => None,
            name => Some(top_field(&method.output(), name, "response_body")?),
        };
        let binding = Self {
            method: method.clone(),
            rule,
            variables,
            body,
            response,
        };
        Ok((template, binding))
    }

    /// The method that is called.
    pub fn method(&self) -> &MethodDescriptor {
        &self.method
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether the body of a request is read.
    pub fn reads_body(&self) -> bool {
        !matches!(self.body, BodyRule::None)
    }

    /// Whether the body of a request is taken as it is, of any media type.
    pub fn takes_raw(&self) -> bool {
        match &self.body {
            BodyRule::None => false,
            BodyRule::Whole => raw::is_raw(&self.method.input()),
            BodyRule::Field(field) => raw::is_raw_field(field),
        }
    }

    /// Whether an answer is a body as it is, see [`Binding::raw_answer`].
    pub fn answers_raw(&self) -> bool {
        match &self.response {
            None => raw::is_raw(&self.method.output()),
            Some(field) => raw::is_raw_field(field),
        }
    }

    /// The message that a request stands for. `values` are those of the template's variables, in
    /// its order; `query` is as it was sent.
    ///
    /// # Errors
    /// `REQUEST_INVALID` with everything that does not fit; `BODY_MALFORMED` when the body is
    /// not JSON.
    pub fn request(
        &self,
        values: impl Iterator<Item = Option<String>>,
        query: &str,
        body: Content<'_>,
        mapping: Mapping,
    ) -> Result<DynamicMessage> {
        self.message(values, query, (body, ""), mapping)
    }

    /// [`Binding::request`] of a part of the body, which violations call `place`.
    pub(crate) fn message(
        &self,
        values: impl Iterator<Item = Option<String>>,
        query: &str,
        (body, place): (Content<'_>, &str),
        mapping: Mapping,
    ) -> Result<DynamicMessage> {
        let mut report = Report::default();
        let input = self.method.input();
        let mut message = self.read_body(&input, (body, place), mapping, &mut report)?;
        for (chain, value) in self.variables.iter().zip(values) {
            report.look_at("path", &dotted(chain));
            match value {
                None => report.refuse("encoding", "UTF-8 text with whole percent escapes"),
                Some(text) => {
                    let Some(value) = of_text(chain, text, &mut report) else {
                        continue;
                    };
                    if let Some((field, target)) = reach(&mut message, chain) {
                        target.set_field(field, value);
                    }
                }
            }
        }
        self.read_query(&mut message, query, mapping, &mut report);
        report.finish()?;
        Ok(message)
    }

    fn read_body(
        &self,
        input: &MessageDescriptor,
        (body, place): (Content<'_>, &str),
        mapping: Mapping,
        report: &mut Report,
    ) -> Result<DynamicMessage> {
        let empty = DynamicMessage::new(input.clone());
        if self.takes_raw() {
            return Ok(self.read_raw(empty, body));
        }
        if body.bytes.is_empty() {
            return Ok(empty);
        }
        let field = match &self.body {
            BodyRule::None => return Ok(empty),
            BodyRule::Whole => None,
            BodyRule::Field(field) => Some(field),
        };
        let node = Node::parse(body.bytes).map_err(|error| malformed(&error, place))?;
        report.look_at("body", place);
        let mut reader = Reader::new(report, mapping.ignore_unknown);
        Ok(match field {
            None => reader.message(input, node).unwrap_or(empty),
            Some(field) => {
                let mut message = empty;
                reader.set(&mut message, field, node);
                message
            }
        })
    }

    fn read_raw(&self, mut message: DynamicMessage, body: Content<'_>) -> DynamicMessage {
        match &self.body {
            BodyRule::Field(field) => {
                if let Kind::Message(kind) = field.kind() {
                    let body = raw::read(&kind, body.media_type, body.bytes);
                    message.set_field(field, Value::Message(body));
                }
                message
            }
            _ => raw::read(&message.descriptor(), body.media_type, body.bytes),
        }
    }

    fn read_query(
        &self,
        message: &mut DynamicMessage,
        query: &str,
        mapping: Mapping,
        report: &mut Report,
    ) {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut seen: Vec<Chain> = Vec::new();
        for (count, pair) in pairs.enumerate() {
            report.look_at("query", "");
            if count >= PARAMETERS_MAX {
                report.refuse("length", format!("at most {PARAMETERS_MAX} parameters"));
                return;
            }
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let chain = plus_decoded(name).and_then(|name| self.query_field(&name));
            let Some(chain) = chain else {
                if let Some(map) = self.map_named(name) {
                    report.look_at("query", &dotted(&map));
                    report.refuse(
                        "map",
                        "no map in a query, only in a body that has the field",
                    );
                } else if !mapping.ignore_unknown {
                    // The name is the caller's, so that it is not repeated.
                    report.refuse("unknown", "only parameters of the contract");
                }
                continue;
            };
            report.look_at("query", &dotted(&chain));
            let Some(text) = plus_decoded(text) else {
                report.refuse("encoding", "UTF-8 text with whole percent escapes");
                continue;
            };
            let many = chain.last().is_some_and(FieldDescriptor::is_list);
            if !many && seen.contains(&chain) {
                report.refuse("duplicate", "the parameter once");
                continue;
            }
            if let Some(value) = of_text(&chain, text, report) {
                put(message, &chain, value, report);
            }
            seen.push(chain);
        }
    }

    /// The field of a query parameter, unless path or body give it already.
    fn query_field(&self, name: &str) -> Option<Chain> {
        if matches!(self.body, BodyRule::Whole) {
            return None;
        }
        let chain = chain(&self.method.input(), name.split('.'))?;
        let leaf = chain.last()?;
        let of_body = match &self.body {
            BodyRule::Field(field) => chain.first() == Some(field),
            _ => false,
        };
        let fits = !leaf.is_map() && wellknown::is_text(&leaf.kind());
        let free = !of_body && !self.variables.contains(&chain);
        (fits && free).then_some(chain)
    }

    /// The map that a parameter like `labels[key]` or `labels.key` means. The rules leave maps out
    /// of queries; without being told, a caller would search for a slip in the name.
    fn map_named(&self, name: &str) -> Option<Chain> {
        let name = plus_decoded(name)?;
        let bare = name.split('[').next().unwrap_or_default();
        let steps: Vec<&str> = bare.split('.').collect();
        let input = self.method.input();
        let ways = (1..=steps.len()).filter_map(|length| {
            let way = steps.get(..length)?.iter().copied();
            chain(&input, way)
        });
        let mut ways = ways.take(STEPS_MAX);
        ways.find(|way| way.last().is_some_and(FieldDescriptor::is_map))
    }

    fn reply(&self, bytes: &[u8]) -> Result<DynamicMessage> {
        DynamicMessage::decode(self.method.output(), bytes)
            .map_err(|cause| REPLY_UNMAPPABLE.error().cause(cause))
    }

    /// The body that an answer is, given as the bytes of its message.
    ///
    /// # Errors
    /// `REPLY_UNMAPPABLE` when the bytes are not a message of the method's type.
    pub fn raw_answer(&self, bytes: &[u8]) -> Result<Raw> {
        let message = self.reply(bytes)?;
        let Some(field) = &self.response else {
            return Ok(raw::write(&message));
        };
        Ok(match message.get_field(field).as_ref() {
            Value::Message(body) => raw::write(body),
            _ => raw::write(&message),
        })
    }

    /// The JSON of an answer, given as the bytes of its message.
    ///
    /// # Errors
    /// `REPLY_UNMAPPABLE` when the bytes are not a message of the method's type, or it holds a
    /// message that the contract does not know.
    pub fn answer(&self, bytes: &[u8], mapping: Mapping) -> Result<Vec<u8>> {
        let message = self.reply(bytes)?;
        let options = SerializeOptions::new().skip_default_fields(!mapping.print_defaults);
        let written = |cause| REPLY_UNMAPPABLE.error().cause(cause);
        let Some(field) = &self.response else {
            let mut text = Vec::with_capacity(bytes.len() * 2);
            let mut serializer = serde_json::Serializer::new(&mut text);
            message
                .serialize_with_options(&mut serializer, &options)
                .map_err(written)?;
            return Ok(text);
        };
        // A value has no JSON of its own there, so that it is taken out of its message's.
        let mut whole = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(written)?;
        let part = whole.get_mut(field.json_name()).map(Json::take);
        let part = part.unwrap_or_else(|| absent(field));
        serde_json::to_vec(&part).map_err(written)
    }
}

/// What stands for a field of an answer that has its default value and is not written.
fn absent(field: &FieldDescriptor) -> Json {
    if field.is_list() {
        return Json::Array(Vec::new());
    }
    if field.is_map() {
        return Json::Object(serde_json::Map::new());
    }
    match field.default_value() {
        Value::Bool(flag) => flag.into(),
        Value::I32(_) | Value::U32(_) | Value::F32(_) | Value::F64(_) => 0.into(),
        Value::I64(_) | Value::U64(_) => "0".into(),
        Value::String(_) | Value::Bytes(_) => "".into(),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(kind) => kind
                .get_value(number)
                .map_or(Json::Null, |value| value.name().into()),
            _ => Json::Null,
        },
        _ => Json::Null,
    }
}

/// The body holds more within each other than may be.
pub(crate) fn too_deep(json_depth: usize, place: &str) -> Error {
    let expected = format!("at most {json_depth} levels of nesting");
    Error::invalid(vec![Violation::body(place, "depth", expected)])
}

fn malformed(error: &serde_json::Error, place: &str) -> Error {
    // The parser gives no other sign of its limit than this text.
    if error.to_string().starts_with("recursion limit") {
        return too_deep(JSON_DEPTH_MAX, place);
    }
    let (line, column) = (error.line(), error.column());
    let expected = match place {
        "" => format!("valid JSON; it breaks at line {line}, column {column}"),
        _ => format!("valid JSON; it breaks at column {column}"),
    };
    catalogue::BODY_MALFORMED
        .error()
        .param("expected", "JSON")
        .violations(vec![Violation::body(place, "syntax", expected)])
}

/// A field that takes a part of the path.
fn path_field(input: &MessageDescriptor, names: &[String]) -> Result<Chain, String> {
    let name = names.join(".");
    let found = chain(input, names.iter().map(String::as_str))
        .ok_or_else(|| format!("{} has no field `{name}` for the path", input.full_name()))?;
    let leaf = found.last();
    let fits = leaf
        .is_some_and(|leaf| !leaf.is_list() && !leaf.is_map() && wellknown::is_text(&leaf.kind()));
    if !fits {
        return Err(format!(
            "the field `{name}` of {} cannot stand in a path: it is not one plain value",
            input.full_name()
        ));
    }
    Ok(found)
}

fn top_field(kind: &MessageDescriptor, name: &str, key: &str) -> Result<FieldDescriptor, String> {
    kind.get_field_by_name(name).ok_or_else(|| {
        format!(
            "{} has no field `{name}`, which `{key}` names",
            kind.full_name()
        )
    })
}

/// The fields on the way of a path like `a.b.c`; `None` where there is no such way.
fn chain<'a>(kind: &MessageDescriptor, names: impl Iterator<Item = &'a str>) -> Option<Chain> {
    let mut chain = Chain::new();
    let mut kind = Some(kind.clone());
    for name in names {
        if chain.len() >= STEPS_MAX {
            return None;
        }
        let field = field_named(&kind?, name)?;
        kind = match field.kind() {
            Kind::Message(kind) if !field.is_list() && !field.is_map() => Some(kind),
            _ => None,
        };
        chain.push(field);
    }
    (!chain.is_empty()).then_some(chain)
}

/// A value of the field at the end of a way, read from text.
fn of_text(chain: &[FieldDescriptor], text: String, report: &mut Report) -> Option<Value> {
    let kind = chain.last()?.kind();
    let boolean = match &kind {
        Kind::Bool => true,
        Kind::Message(kind) => kind.full_name() == "google.protobuf.BoolValue",
        _ => false,
    };
    let node = match (&kind, text.as_str()) {
        (_, "true") if boolean => Node::Bool(true),
        (_, "false") if boolean => Node::Bool(false),
        (Kind::Enum(kind), number) if kind.get_value_by_name(number).is_none() => {
            let parsed = number.parse::<i32>();
            parsed.map_or(Node::Text(text), |number| Node::Number(number.into()))
        }
        _ => Node::Text(text),
    };
    Reader::new(report, false).value(&kind, node)
}

/// Puts a value at the end of a way, after those that are there where it is a list.
fn put(message: &mut DynamicMessage, chain: &[FieldDescriptor], value: Value, report: &mut Report) {
    let Some((field, target)) = reach(message, chain) else {
        return;
    };
    if field.is_list() {
        if let Value::List(list) = target.get_field_mut(field) {
            list.push(value);
        }
        return;
    }
    let other = field.containing_oneof().filter(|oneof| {
        let mut fields = oneof.fields();
        fields.any(|other| other.number() != field.number() && target.has_field(&other))
    });
    match other {
        Some(oneof) => report.refuse("oneof", format!("one field of {} at most", oneof.name())),
        None => target.set_field(field, value),
    }
}

/// The message at the end of a way, made where it was not, and its field.
fn reach<'m, 'c>(
    message: &'m mut DynamicMessage,
    chain: &'c [FieldDescriptor],
) -> Option<(&'c FieldDescriptor, &'m mut DynamicMessage)> {
    let (leaf, way) = chain.split_last()?;
    let mut message = message;
    for field in way {
        message = message.get_field_mut(field).as_message_mut()?;
    }
    Some((leaf, message))
}

fn dotted(chain: &[FieldDescriptor]) -> String {
    let names: Vec<&str> = chain.iter().map(FieldDescriptor::json_name).collect();
    names.join(".")
}

/// Decodes a name or value of a query, where a plus is a space.
fn plus_decoded(text: &str) -> Option<String> {
    if text.contains('+') {
        return decode(&text.replace('+', " "), false);
    }
    decode(text, false)
}
