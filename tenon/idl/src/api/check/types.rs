//! Declares types and resolves what fields and bodies say about them.

use super::names::{BUILTINS, GO_KEYWORDS, REFUSED, builtin};
use super::{Checker, has_leading_letter};
use crate::api::comments;
use crate::api::lexer::TokenKind;
use crate::api::nearest::nearest;
use crate::api::tree::{NodeId, NodeKind};
use crate::model::{Field, Place, Type};

/// Longest fixed array, in elements.
const MAX_ARRAY: usize = 65_536;

/// A struct whose embedded types are not flattened yet.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) members: Vec<Member>,
    pub(super) lifted_from: Option<(String, String)>,
    pub(super) place: Place,
}

pub(super) enum Member {
    Field(Box<Field>),
    Embedded {
        type_name: String,
        optional: bool,
        place: Place,
    },
}

/// A type as a field or body writes it, the outer pointers taken off.
pub(super) struct Resolved {
    pub(super) ty: Type,
    pub(super) pointer: bool,
}

/// What an anonymous struct inside a field is to be called, and where lifted ones go.
pub(super) struct Lift<'d> {
    pub(super) parent: &'d str,
    pub(super) field: &'d str,
    pub(super) drafts: &'d mut Vec<Draft>,
}

impl Checker<'_> {
    /// All declared types, imported files first.
    pub(super) fn types(&mut self) -> Vec<Draft> {
        let mut declarations = Vec::new();
        for file in self.sources.order.clone() {
            let tree = self.tree(file);
            for statement in tree.children_of_kind(tree.root(), NodeKind::TypeStatement) {
                for declaration in tree.children_of_kind(statement, NodeKind::TypeDeclaration) {
                    if let Some(name) = self.declare(file, declaration) {
                        declarations.push((file, statement, declaration, name));
                    }
                }
            }
        }
        let mut drafts = Vec::new();
        for (file, statement, declaration, name) in declarations {
            self.draft_declaration(file, statement, declaration, &name, &mut drafts);
        }
        drafts
    }

    /// Enters the name of a declaration; none if it is no name for a type or is taken.
    fn declare(&mut self, file: usize, declaration: NodeId) -> Option<String> {
        let tree = self.tree(file);
        let token = tree.child_tokens(declaration).next()?;
        let name = tree.token_text(token).to_owned();
        let place = self.token_place(file, token);
        if builtin(&name).is_some() || REFUSED[..4].iter().any(|(refused, _)| *refused == name) {
            self.report_with(
                place,
                format!("`{name}` is a built-in type"),
                "choose another name",
            );
            return None;
        }
        if GO_KEYWORDS.contains(&name.as_str()) {
            self.report_with(
                place,
                format!("`{name}` is a reserved word"),
                "choose another name",
            );
            return None;
        }
        if !has_leading_letter(&name) {
            self.report(
                place,
                format!("type name `{name}` does not start with a letter"),
            );
            return None;
        }
        if let Some(first) = self.declared.get(&name).copied() {
            let first = self.line_of(first);
            self.report_with(
                place,
                format!("type `{name}` is declared twice"),
                format!("the other is at {first}"),
            );
            return None;
        }
        self.declared.insert(name.clone(), place);
        Some(name)
    }

    fn draft_declaration(
        &mut self,
        file: usize,
        statement: NodeId,
        declaration: NodeId,
        name: &str,
        drafts: &mut Vec<Draft>,
    ) {
        let tree = self.tree(file);
        let Some(place) = self.declared.get(name).copied() else {
            return;
        };
        let Some(struct_type) = tree.child_of_kind(declaration, NodeKind::StructType) else {
            self.report_with(
                place,
                format!("type `{name}` is no struct"),
                format!(
                    "write `type {name} {{ ... }}`, or use the other type where `{name}` is used"
                ),
            );
            return;
        };
        let docs = comments::of_type(
            tree,
            comments::anchor(tree, statement, declaration),
            struct_type,
        );
        self.draft_struct(
            file,
            struct_type,
            Draft::new(name, docs, None, place),
            drafts,
        );
    }

    /// Adds the draft with the fields of `struct_type`, then what was lifted out of them.
    pub(super) fn draft_struct(
        &mut self,
        file: usize,
        struct_type: NodeId,
        mut draft: Draft,
        drafts: &mut Vec<Draft>,
    ) {
        let mut lifted = Vec::new();
        let tree = self.tree(file);
        for node in tree.child_nodes(struct_type) {
            match tree.kind(node) {
                NodeKind::Field => {
                    let fields = self.fields(file, node, &draft.name, &mut lifted);
                    draft
                        .members
                        .extend(fields.into_iter().map(Box::new).map(Member::Field));
                }
                NodeKind::EmbeddedField => {
                    draft.members.extend(self.embedded(file, node, &draft.name))
                }
                _ => {}
            }
        }
        drafts.push(draft);
        drafts.append(&mut lifted);
    }

    /// The meaning of a type node; none if it has none, which has been reported.
    pub(super) fn resolve(
        &mut self,
        file: usize,
        node: NodeId,
        lift: Option<&mut Lift<'_>>,
    ) -> Option<Resolved> {
        let tree = self.tree(file);
        if tree.kind(node) == NodeKind::PointerType {
            let inner = tree.child_nodes(node).next()?;
            let resolved = self.resolve(file, inner, lift)?;
            return Some(Resolved {
                ty: resolved.ty,
                pointer: true,
            });
        }
        let ty = match tree.kind(node) {
            NodeKind::NamedType => self.resolve_name(file, node),
            NodeKind::InterfaceType => Some(Type::Any),
            NodeKind::ListType => self.resolve_list(file, node, lift),
            NodeKind::ArrayType => self.resolve_array(file, node, lift),
            NodeKind::MapType => self.resolve_map(file, node, lift),
            NodeKind::StructType => self.resolve_struct(file, node, lift),
            _ => None,
        };
        ty.map(|ty| Resolved { ty, pointer: false })
    }

    fn resolve_name(&mut self, file: usize, node: NodeId) -> Option<Type> {
        let tree = self.tree(file);
        let name: String = tree
            .child_tokens(node)
            .map(|token| tree.token_text(token))
            .collect();
        if let Some(ty) = builtin(&name) {
            return Some(ty);
        }
        if self.declared.contains_key(&name) {
            return Some(Type::Struct(name));
        }
        let place = self.place(file, node);
        if let Some((_, advice)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            self.report_with(place, format!("`{name}` is no type of a contract"), *advice);
        } else if name == "time.Duration" {
            self.report_with(
                place,
                "`time.Duration` has no agreed JSON form",
                "use `int64` and name the unit",
            );
        } else if name.contains('.') {
            self.report_with(
                place,
                format!("type `{name}` of a package is not known"),
                "types come from this file and its imports, by their plain name; `time.Time` is the only exception",
            );
        } else {
            let mut names: Vec<&str> = self.declared.keys().map(String::as_str).collect();
            names.extend(BUILTINS.iter().map(|(name, _)| *name));
            names.sort_unstable();
            let hint = match nearest(&name, names) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "declare it, or import the file that does".to_owned(),
            };
            self.report_with(place, format!("type `{name}` is not declared"), hint);
        }
        None
    }

    fn resolve_list(
        &mut self,
        file: usize,
        node: NodeId,
        lift: Option<&mut Lift<'_>>,
    ) -> Option<Type> {
        let tree = self.tree(file);
        let item = tree.child_nodes(node).next()?;
        if tree.kind(item) == NodeKind::NamedType
            && matches!(tree.node_text(item), "byte" | "uint8")
        {
            return Some(Type::Bytes);
        }
        let item = self.resolve(file, item, lift)?;
        Some(Type::List(Box::new(item.ty)))
    }

    fn resolve_array(
        &mut self,
        file: usize,
        node: NodeId,
        lift: Option<&mut Lift<'_>>,
    ) -> Option<Type> {
        let tree = self.tree(file);
        let item = tree.child_nodes(node).next()?;
        let Some(length) = tree.child_tokens_of_kind(node, TokenKind::Int).next() else {
            let place = self.place(file, node);
            self.report_with(
                place,
                "an array of open length",
                "write `[]T`, or the length as in `[3]T`",
            );
            return None;
        };
        let item = self.resolve(file, item, lift)?;
        match tree.token_text(length).parse::<usize>() {
            Ok(count) if (1..=MAX_ARRAY).contains(&count) => {
                Some(Type::Array(count, Box::new(item.ty)))
            }
            _ => {
                let place = self.token_place(file, length);
                self.report_with(
                    place,
                    format!("an array has 1 to {MAX_ARRAY} elements"),
                    "use a list, `[]T`",
                );
                None
            }
        }
    }

    fn resolve_map(
        &mut self,
        file: usize,
        node: NodeId,
        mut lift: Option<&mut Lift<'_>>,
    ) -> Option<Type> {
        let tree = self.tree(file);
        let mut children = tree.child_nodes(node);
        let (key_node, value_node) = (children.next()?, children.next()?);
        let key = self.resolve(file, key_node, lift.as_deref_mut());
        let value = self.resolve(file, value_node, lift);
        let key = key?;
        if key.pointer || !matches!(key.ty, Type::String | Type::Int { .. }) {
            let place = self.place(file, key_node);
            let written = tree.node_text(key_node).to_owned();
            let diagnostic = self
                .at(place, format!("`{written}` cannot be the key of a map"))
                .expecting(["`string`", "an integer type"])
                .with_hint("the keys of a JSON object are text");
            self.diagnostics.push(diagnostic);
            return None;
        }
        Some(Type::Map(Box::new(key.ty), Box::new(value?.ty)))
    }

    /// Lifts an anonymous struct to a type of its own.
    fn resolve_struct(
        &mut self,
        file: usize,
        node: NodeId,
        lift: Option<&mut Lift<'_>>,
    ) -> Option<Type> {
        let place = self.place(file, node);
        let Some(lift) = lift else {
            self.report_with(
                place,
                "a struct without a name",
                "declare it with `type` and use its name",
            );
            return None;
        };
        let mut name = format!("{}{}", lift.parent, capitalised(lift.field));
        while self.declared.contains_key(&name) {
            name.push_str("Inline");
        }
        self.declared.insert(name.clone(), place);
        let tree = self.tree(file);
        let docs = comments::of_type(tree, node, node);
        let from = (lift.parent.to_owned(), lift.field.to_owned());
        self.draft_struct(
            file,
            node,
            Draft::new(&name, docs, Some(from), place),
            lift.drafts,
        );
        Some(Type::Struct(name))
    }
}

impl Draft {
    fn new(
        name: &str,
        docs: Vec<String>,
        lifted_from: Option<(String, String)>,
        place: Place,
    ) -> Self {
        Self {
            name: name.to_owned(),
            docs,
            members: Vec::new(),
            lifted_from,
            place,
        }
    }
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
