//! Fields: names, types and what their tags say.

use super::types::{Draft, Lift, Member};
use super::{Checker, has_leading_letter};
use crate::api::comments;
use crate::api::lexer::TokenKind;
use crate::api::nearest::nearest;
use crate::api::tag::{self, Part, Tag};
use crate::api::tree::{NodeId, NodeKind};
use crate::diagnostic::Span;
use crate::model::{Field, Place, Presence, Source, Type};

/// The tags that bind a field.
const BINDINGS: [(&str, Source); 4] = [
    ("json", Source::Json),
    ("form", Source::Query),
    ("path", Source::Path),
    ("header", Source::Header),
];

const OPTIONS: [&str; 7] = [
    "optional",
    "omitempty",
    "default",
    "options",
    "range",
    "string",
    "personal",
];

/// The tag that binds a field, taken apart.
struct Binding {
    source: Source,
    name: Option<String>,
    options: Vec<Part>,
    span: Span,
}

impl Checker<'_> {
    /// The fields of `A, B T`.
    pub(super) fn fields(
        &mut self,
        file: usize,
        node: NodeId,
        parent: &str,
        lifted: &mut Vec<Draft>,
    ) -> Vec<Field> {
        let tree = self.tree(file);
        let names: Vec<usize> = tree.child_tokens_of_kind(node, TokenKind::Ident).collect();
        let Some(type_node) = tree
            .child_nodes(node)
            .find(|child| tree.kind(*child) != NodeKind::Error)
        else {
            return Vec::new();
        };
        let lift_name = names
            .first()
            .map_or("", |name| tree.token_text(*name))
            .to_owned();
        let mut lift = Lift {
            parent,
            field: &lift_name,
            drafts: lifted,
        };
        let resolved = self.resolve(file, type_node, Some(&mut lift));
        let tags = self.tags(file, node);
        let Some(resolved) = resolved else {
            self.incomplete.insert(parent.to_owned());
            return Vec::new();
        };
        let docs = comments::around(tree, node);
        let mut fields = Vec::new();
        for token in names {
            let name = tree.token_text(token).to_owned();
            let place = self.token_place(file, token);
            if !has_leading_letter(&name) {
                self.report(
                    place,
                    format!("field name `{name}` does not start with a letter"),
                );
                continue;
            }
            let mut field = plain_field(name, resolved.ty.clone(), resolved.pointer, place);
            field.docs.clone_from(&docs);
            self.apply_tags(&mut field, &tags);
            fields.push(field);
        }
        fields
    }

    /// `Base` or `*Base`. With a name in its `json` tag it is an ordinary field, as in Go.
    pub(super) fn embedded(&mut self, file: usize, node: NodeId, parent: &str) -> Option<Member> {
        let tree = self.tree(file);
        let type_node = tree.child_of_kind(node, NodeKind::NamedType)?;
        let place = self.place(file, type_node);
        let pointer = tree
            .child_tokens_of_kind(node, TokenKind::Star)
            .next()
            .is_some();
        let tags = self.tags(file, node);
        let Some(resolved) = self.resolve(file, type_node, None) else {
            self.incomplete.insert(parent.to_owned());
            return None;
        };
        let Type::Struct(type_name) = resolved.ty else {
            let written = tree.node_text(type_node).to_owned();
            self.report_with(
                place,
                format!("`{written}` cannot be embedded, it is no struct"),
                format!("a field needs a name and a type: `Name {written}`"),
            );
            return None;
        };
        let binding = self.binding(&tags, place);
        if binding
            .as_ref()
            .is_some_and(|binding| binding.source == Source::None)
        {
            return None;
        }
        let named = binding
            .as_ref()
            .is_some_and(|binding| binding.name.is_some());
        if named {
            let mut field = plain_field(type_name.clone(), Type::Struct(type_name), pointer, place);
            field.docs = comments::around(tree, node);
            self.apply_tags(&mut field, &tags);
            return Some(Member::Field(Box::new(field)));
        }
        let mut optional = false;
        for option in binding.into_iter().flat_map(|binding| binding.options) {
            match option.text.as_str() {
                "optional" => optional = true,
                "inline" | "omitempty" | "" => {}
                other => {
                    let message = format!("tag option `{other}` means nothing on an embedded type");
                    self.report(
                        Place {
                            file: place.file,
                            span: option.span,
                        },
                        message,
                    );
                }
            }
        }
        Some(Member::Embedded {
            type_name,
            optional,
            place,
        })
    }

    /// The tags behind a field; none after an error.
    fn tags(&mut self, file: usize, node: NodeId) -> Vec<Tag> {
        let tree = self.tree(file);
        let Some(token) = tree.child_tokens_of_kind(node, TokenKind::Raw).next() else {
            return Vec::new();
        };
        let text = super::unquoted(tree, token);
        let tags = match tag::parse(text, tree.token_span(token).start + 1) {
            Ok(tags) => tags,
            Err(malformed) => {
                let place = Place {
                    file,
                    span: malformed.span,
                };
                self.report_with(
                    place,
                    malformed.message,
                    "a tag is `key:\"value\"`, several are separated by blanks",
                );
                return Vec::new();
            }
        };
        for (index, tag) in tags.iter().enumerate() {
            if tags[..index].iter().any(|other| other.key == tag.key) {
                self.report(
                    Place {
                        file,
                        span: tag.span,
                    },
                    format!("tag `{}` is there twice", tag.key),
                );
            }
        }
        tags
    }

    /// The tag that binds the field: the only one that does not say `-`.
    fn binding(&mut self, tags: &[Tag], place: Place) -> Option<Binding> {
        let mut found: Option<Binding> = None;
        let mut hidden = None;
        for tag in tags {
            let Some((_, source)) = BINDINGS.iter().find(|(key, _)| *key == tag.key) else {
                continue;
            };
            let mut parts = tag.parts();
            let name = parts.remove(0);
            if name.text == "-" && parts.is_empty() {
                hidden = Some(Binding {
                    source: Source::None,
                    name: None,
                    options: Vec::new(),
                    span: tag.span,
                });
                continue;
            }
            if let Some(first) = &found {
                if first.source == *source {
                    continue; // The same tag twice has been reported.
                }
                let message = format!(
                    "the field is bound twice, by `{}` and by `{source}`",
                    first.source
                );
                let hint = "keep one; where one type serves two ends, declare two types";
                self.report_with(
                    Place {
                        file: place.file,
                        span: tag.span,
                    },
                    message,
                    hint,
                );
                continue;
            }
            let name = (!name.text.is_empty()).then_some(name.text);
            found = Some(Binding {
                source: *source,
                name,
                options: parts,
                span: tag.span,
            });
        }
        found.or(hidden)
    }

    fn apply_tags(&mut self, field: &mut Field, tags: &[Tag]) {
        field.other_tags = tags
            .iter()
            .filter(|tag| !BINDINGS.iter().any(|(key, _)| *key == tag.key))
            .map(|tag| (tag.key.clone(), tag.text()))
            .collect();
        let Some(binding) = self.binding(tags, field.place) else {
            return;
        };
        field.source = binding.source;
        if let Some(name) = binding.name {
            self.check_wire_name(
                &name,
                binding.source,
                Place {
                    file: field.place.file,
                    span: binding.span,
                },
            );
            field.wire_name = name;
        }
        for option in &binding.options {
            self.apply_option(field, option);
        }
        self.check_rules(
            field,
            Place {
                file: field.place.file,
                span: binding.span,
            },
        );
        self.check_source(field);
    }

    fn check_wire_name(&mut self, name: &str, source: Source, place: Place) {
        let good = match source {
            Source::Header => name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)),
            Source::Path => name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
            Source::Query | Source::Json | Source::None => {
                !name.contains(|c: char| c.is_control() || c == '"')
            }
        };
        if !good {
            self.report(place, format!("`{name}` cannot be a {source} name"));
        }
    }

    fn apply_option(&mut self, field: &mut Field, option: &Part) {
        let place = Place {
            file: field.place.file,
            span: option.span,
        };
        let (key, value) = match option.text.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value)),
            None => (option.text.as_str(), None),
        };
        match (key, value) {
            ("optional", None) => field.optional = true,
            ("optional", Some(other)) => {
                field.optional = true;
                field.presence = Some(match other.trim().strip_prefix('!') {
                    Some(other) => Presence::Without(other.trim().to_owned()),
                    None => Presence::With(other.trim().to_owned()),
                });
            }
            ("omitempty", None) => field.omit_empty = true,
            ("personal", None) => field.personal = true,
            // A string is a string already; Go quotes it a second time, which nobody means.
            ("string", None) if field.ty == Type::String => {}
            ("string", None)
                if matches!(field.ty, Type::Bool | Type::Int { .. } | Type::Float { .. }) =>
            {
                field.string_encoded = true;
            }
            ("string", None) => {
                let message = format!("option `string` means nothing for `{}`", field.ty);
                self.report_with(
                    place,
                    message,
                    "it is for numbers and booleans that travel as text",
                );
            }
            ("default", Some(value)) => self.apply_default(field, value, place),
            ("options", Some(value)) => self.apply_options(field, value, place),
            ("range", Some(value)) => self.apply_range(field, value.trim(), place),
            ("default" | "options" | "range", None) => {
                self.report(place, format!("option `{key}` needs a value: `{key}=...`"));
            }
            ("", None) => self.report_with(place, "an empty tag option", "remove the comma"),
            _ => self.unknown_option(key, place),
        }
    }

    fn unknown_option(&mut self, key: &str, place: Place) {
        let hint = match key {
            "required" => "a field is required unless it says `optional` or `default`".to_owned(),
            "inherit" | "env" => "it is for configuration, not for requests".to_owned(),
            "inline" => "it is for embedded types".to_owned(),
            _ => match nearest(key, OPTIONS) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "other rules belong into a tag of their own".to_owned(),
            },
        };
        let diagnostic = self
            .at(place, format!("tag option `{key}` is not known"))
            .expecting(OPTIONS)
            .with_hint(hint);
        self.diagnostics.push(diagnostic);
    }

    /// What the place on the wire asks of the type.
    fn check_source(&mut self, field: &Field) {
        let place = field.place;
        let name = &field.name;
        let list_item = match &field.ty {
            Type::List(item) | Type::Array(_, item) => Some(item.as_ref()),
            _ => None,
        };
        match field.source {
            Source::Path if !field.ty.is_scalar() => self.report_with(
                place,
                format!("path field `{name}` has type `{}`", field.ty),
                "a path parameter is one boolean, number, string or time",
            ),
            Source::Path if field.optional || field.default.is_some() => self.report_with(
                place,
                format!("path field `{name}` is optional"),
                "a path parameter is always there; remove the pointer, `optional` or `default`",
            ),
            Source::Query | Source::Header
                if !field.ty.is_scalar() && !list_item.is_some_and(Type::is_scalar) =>
            {
                self.report_with(
                    place,
                    format!("{} field `{name}` has type `{}`", field.source, field.ty),
                    "it is a boolean, number, string, time or a list of them; other types travel in the body",
                );
            }
            _ => {}
        }
    }
}

/// A field without tags: in the JSON body, under its own name.
fn plain_field(name: String, ty: Type, pointer: bool, place: Place) -> Field {
    Field {
        wire_name: name.clone(),
        name,
        ty,
        docs: Vec::new(),
        source: Source::Json,
        optional: pointer,
        presence: None,
        omit_empty: false,
        default: None,
        options: Vec::new(),
        range: None,
        string_encoded: false,
        personal: false,
        boxed: false,
        embedded_from: None,
        other_tags: Vec::new(),
        place,
    }
}
