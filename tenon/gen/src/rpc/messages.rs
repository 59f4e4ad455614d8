//! Protobuf messages as Rust types: prost's, read back and written the way a person would.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, FileDescriptorProto};
use syn::visit_mut::VisitMut;
use tenon_idl::{
    Diagnostic,
    proto::{Position, Proto, is_of_options},
};

use super::redact::{self, Redacted};
use crate::{
    docs,
    layout::Code,
    names::{camel, snake},
};

/// The messages of an RPC contract.
pub(crate) struct Messages {
    /// The package whose items stand at the top of the file.
    root: String,
    /// Whether there are other packages, which then are modules.
    several: bool,
    /// The items of each package.
    packages: BTreeMap<String, Vec<syn::Item>>,
    /// The full names of all messages, with their package.
    known: BTreeMap<String, String>,
    /// The Rust names of all messages and enums at any depth.
    names: BTreeSet<String>,
    /// The Rust names at the top of the root package.
    top: BTreeSet<String>,
}

impl Messages {
    /// Has prost write the messages of all files but the well-known ones, which come with it.
    ///
    /// # Errors
    /// prost cannot write them.
    pub(crate) fn new(proto: &Proto) -> Result<Self, Vec<Diagnostic>> {
        let files: Vec<&FileDescriptorProto> = proto
            .descriptor_set
            .file
            .iter()
            .filter(|file| file.package() != "google.protobuf")
            .filter(|file| !is_of_options(file.name()))
            .collect();
        let mut config = prost_build::Config::new();
        config
            .prost_path("::tenon::prost")
            .prost_types_path("::tenon::prost_types");
        redact::mark(&mut config, proto);
        // prost looks into the well-known messages too, but writes none of them.
        let requests = proto
            .descriptor_set
            .file
            .iter()
            .map(|file| {
                let module = prost_build::Module::from_protobuf_package_name(file.package());
                let mut file = file.clone();
                // Services are written here, not by prost.
                file.service.clear();
                if file.syntax() == "proto3" {
                    pack(&mut file.message_type);
                }
                (module, file)
            })
            .collect();
        let refuse = |problem: String| {
            let message = format!("the messages cannot be written as Rust: {problem}");
            vec![proto.diagnostic(Position::default(), message)]
        };
        let written = config
            .generate(requests)
            .map_err(|error| refuse(error.to_string()))?;
        let mut messages = Self {
            root: proto.package.clone(),
            several: false,
            packages: BTreeMap::new(),
            known: BTreeMap::new(),
            names: BTreeSet::new(),
            top: BTreeSet::new(),
        };
        for file in &files {
            messages.learn(file);
        }
        let packages: BTreeSet<&str> = files.iter().map(|file| file.package()).collect();
        messages.several = packages.len() > 1;
        for package in packages {
            let module = prost_build::Module::from_protobuf_package_name(package);
            let Some(text) = written.get(&module) else {
                continue;
            };
            let file = syn::parse_file(text).map_err(|error| refuse(error.to_string()))?;
            check(&file.items).map_err(refuse)?;
            messages.packages.insert(package.to_owned(), file.items);
        }
        Ok(messages)
    }

    fn learn(&mut self, file: &FileDescriptorProto) {
        let top = file.package() == self.root;
        for message in &file.message_type {
            self.learn_message(file.package(), file.package(), message);
        }
        for name in file.enum_type.iter().map(|item| item.name()) {
            self.names.insert(camel(name));
        }
        if top {
            let messages = file.message_type.iter().map(|item| item.name());
            let enums = file.enum_type.iter().map(|item| item.name());
            self.top.extend(messages.chain(enums).map(camel));
        }
    }

    fn learn_message(&mut self, package: &str, scope: &str, message: &DescriptorProto) {
        let full = joined(scope, message.name(), ".");
        self.names.insert(camel(message.name()));
        for nested in &message.nested_type {
            self.learn_message(package, &full, nested);
        }
        for name in message.enum_type.iter().map(|item| item.name()) {
            self.names.insert(camel(name));
        }
        for name in message.oneof_decl.iter().map(|item| item.name()) {
            self.names.insert(camel(name));
        }
        self.known.insert(full, package.to_owned());
    }

    /// The Rust names at the top of the file.
    pub(crate) fn top_level_names(&self) -> BTreeSet<String> {
        self.top.clone()
    }

    /// A name of the prelude, in full where a message hides it.
    pub(crate) fn prelude(&self, name: &'static str) -> String {
        if !self.names.contains(name) {
            return name.to_owned();
        }
        let home = match name {
            "Result" => "::std::result::",
            "Option" => "::std::option::",
            "Future" => "::std::future::",
            "Box" => "::std::boxed::",
            "String" => "::std::string::",
            "Vec" => "::std::vec::",
            "Into" | "From" => "::std::convert::",
            _ => "::std::marker::",
        };
        format!("{home}{name}")
    }

    /// A message as Rust code beside it names it; `prefix` is where `rpc` is from there.
    pub(crate) fn rust_type(&self, full: &str, prefix: &str) -> String {
        if let Some(name) = full.strip_prefix("google.protobuf.") {
            return well_known(name);
        }
        let package = self.known.get(full).map_or("", String::as_str);
        let inner = full
            .strip_prefix(package)
            .unwrap_or(full)
            .trim_start_matches('.');
        let mut parts: Vec<&str> = inner.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let mut path: Vec<String> = Vec::new();
        if self.several && package != self.root {
            path.extend(
                package
                    .split('.')
                    .filter(|part| !part.is_empty())
                    .map(snake),
            );
        }
        path.extend(parts.into_iter().map(snake));
        path.push(camel(last));
        format!("{prefix}{}", path.join("::"))
    }

    /// Writes all messages: those of the root package at the top (or re-exported there), the
    /// others in modules of their packages.
    ///
    /// # Errors
    /// None at present; kept beside [`Messages::new`], which has found them all.
    pub(crate) fn write(&self, code: &mut Code) -> Result<(), Vec<Diagnostic>> {
        if !self.several {
            for items in self.packages.values() {
                self.write_items(code, items);
            }
            return Ok(());
        }
        let mut tree = Tree::default();
        for (package, items) in &self.packages {
            let parts = package.split('.').filter(|part| !part.is_empty());
            tree.insert(&parts.collect::<Vec<_>>(), items);
        }
        if !self.root.is_empty() && !self.top.is_empty() {
            let path: Vec<String> = self.root.split('.').map(snake).collect();
            let names: Vec<String> = self.top.iter().cloned().collect();
            code.blank();
            code.names(&format!("pub use {}::{{", path.join("::")), &names, "};");
        }
        self.write_tree(code, &tree, "");
        Ok(())
    }

    fn write_tree(&self, code: &mut Code, tree: &Tree<'_>, package: &str) {
        self.write_items(code, tree.items.unwrap_or_default());
        for (name, child) in &tree.children {
            let package = joined(package, name, ".");
            code.blank();
            code.line(format!("/// Package `{package}`."));
            code.open(format!("pub mod {} {{", snake(name)));
            self.write_tree(code, child, &package);
            code.close("}");
        }
    }

    fn write_items(&self, code: &mut Code, items: &[syn::Item]) {
        for item in items {
            let mut item = item.clone();
            Shorten { names: &self.names }.visit_item_mut(&mut item);
            code.blank();
            self.write_item(code, &item);
        }
    }

    fn write_item(&self, code: &mut Code, item: &syn::Item) {
        match item {
            syn::Item::Struct(item) => {
                // Refused in `new` where it has no shape.
                match Redacted::message(item).ok().flatten() {
                    Some(redacted) => write_redacted_message(code, item, &redacted),
                    None => write_message(code, item),
                }
            }
            syn::Item::Enum(item) => match Redacted::oneof(item).ok().flatten() {
                Some(redacted) => write_redacted_oneof(code, item, &redacted),
                None => write_enum(code, item),
            },
            syn::Item::Impl(item) => write_impl(code, item),
            syn::Item::Mod(item) => {
                let message = camel(&item.ident.to_string());
                code.line(format!("/// Types inside the message `{message}`."));
                code.open(format!("pub mod {} {{", item.ident));
                if let Some((_, items)) = &item.content {
                    self.write_items(code, items);
                }
                code.close("}");
            }
            other => code.lines(&printed(other.clone())),
        }
    }
}

/// The packages as a tree of modules.
#[derive(Default)]
struct Tree<'a> {
    items: Option<&'a [syn::Item]>,
    children: BTreeMap<String, Tree<'a>>,
}

impl<'a> Tree<'a> {
    fn insert(&mut self, path: &[&str], items: &'a [syn::Item]) {
        match path {
            [] => self.items = Some(items),
            [first, rest @ ..] => self
                .children
                .entry((*first).to_owned())
                .or_default()
                .insert(rest, items),
        }
    }
}

/// Says of repeated fields with options that they are packed, which in proto3 goes without saying:
/// prost takes any option, as `debug_redact`, for one against it.
fn pack(messages: &mut [DescriptorProto]) {
    for message in messages {
        let options = message
            .field
            .iter_mut()
            .flat_map(|field| &mut field.options);
        for options in options.filter(|options| options.packed.is_none()) {
            options.packed = Some(true);
        }
        pack(&mut message.nested_type);
    }
}

/// Refuses what prost can write and [`Redacted`] cannot.
fn check(items: &[syn::Item]) -> Result<(), String> {
    for item in items {
        match item {
            syn::Item::Struct(item) => drop(Redacted::message(item)?),
            syn::Item::Enum(item) => drop(Redacted::oneof(item)?),
            syn::Item::Mod(item) => {
                check(
                    item.content
                        .as_ref()
                        .map_or(&[], |(_, items)| items.as_slice()),
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_message(code: &mut Code, item: &syn::ItemStruct) {
    write_attributes(code, &item.attrs, message_docs(item));
    code.open(format!("pub struct {} {{", item.ident));
    for field in &item.fields {
        let Some(name) = &field.ident else { continue };
        write_attributes(code, &field.attrs, part_docs(name));
        code.line(format!("pub {name}: {},", type_text(&field.ty)));
    }
    code.close("}");
}

fn write_redacted_message(code: &mut Code, item: &syn::ItemStruct, redacted: &Redacted) {
    write_docs(code, &item.attrs, message_docs(item));
    code.derive(&redacted.derives);
    code.open(format!("pub struct {} {{", item.ident));
    for (field, ty) in item.fields.iter().zip(&redacted.types) {
        let Some(name) = &field.ident else { continue };
        write_docs(code, &field.attrs, part_docs(name));
        code.line(format!("pub {name}: {ty},"));
    }
    code.close("}");
    write_shapes(code, "message", &item.ident, redacted);
    if redacted.functions.is_empty() {
        return;
    }
    code.blank();
    code.open(format!("impl {} {{", item.ident));
    for [docs, head, body] in &redacted.functions {
        code.blank();
        code.docs(std::slice::from_ref(docs));
        code.open(head);
        code.line(body);
        code.close("}");
    }
    code.close("}");
}

fn write_redacted_oneof(code: &mut Code, item: &syn::ItemEnum, redacted: &Redacted) {
    write_docs(code, &item.attrs, format!("`oneof {}`", item.ident));
    code.derive(&redacted.derives);
    code.open(format!("pub enum {} {{", item.ident));
    for (variant, ty) in item.variants.iter().zip(&redacted.types) {
        write_docs(code, &variant.attrs, part_docs(&variant.ident));
        code.line(format!("{}({ty}),", variant.ident));
    }
    code.close("}");
    write_shapes(code, "oneof", &item.ident, redacted);
}

/// How it is written and read, in a macro of the runtime.
fn write_shapes(code: &mut Code, kind: &str, name: &syn::Ident, redacted: &Redacted) {
    code.blank();
    code.open(format!("::tenon::rpc::{kind}! {{"));
    code.open(format!("{name} {{"));
    for line in &redacted.lines {
        code.line(line);
    }
    code.close("}");
    code.close("}");
}

/// What a message without a comment is documented with.
fn message_docs(item: &syn::ItemStruct) -> String {
    format!("`message {}`", item.ident)
}

/// What a field or a variant without a comment is documented with.
fn part_docs(name: &syn::Ident) -> String {
    format!("`{}`", name.to_string().trim_start_matches("r#"))
}

fn write_enum(code: &mut Code, item: &syn::ItemEnum) {
    let oneof = item
        .variants
        .iter()
        .any(|variant| !matches!(variant.fields, syn::Fields::Unit));
    let kind = if oneof { "oneof" } else { "enum" };
    write_attributes(code, &item.attrs, format!("`{kind} {}`", item.ident));
    code.open(format!("pub enum {} {{", item.ident));
    for variant in &item.variants {
        write_attributes(code, &variant.attrs, part_docs(&variant.ident));
        let mut line = variant.ident.to_string();
        if let syn::Fields::Unnamed(fields) = &variant.fields {
            let types: Vec<String> = fields
                .unnamed
                .iter()
                .map(|field| type_text(&field.ty))
                .collect();
            line = format!("{line}({})", types.join(", "));
        }
        if let Some((_, value)) = &variant.discriminant {
            line = format!("{line} = {}", tokens(value));
        }
        code.line(format!("{line},"));
    }
    code.close("}");
}

/// An `impl` block, a blank line between its functions.
fn write_impl(code: &mut Code, item: &syn::ItemImpl) {
    let mut head = item.clone();
    head.items.clear();
    let head = printed(syn::Item::Impl(head));
    code.open(format!(
        "{} {{",
        head.trim().trim_end_matches(['{', '}']).trim()
    ));
    for function in &item.items {
        let mut one = item.clone();
        one.attrs.clear();
        one.items = vec![function.clone()];
        let text = printed(syn::Item::Impl(one));
        let body: Vec<&str> = text.lines().skip(1).collect();
        code.blank();
        for line in body.iter().take(body.len().saturating_sub(1)) {
            code.line(line.strip_prefix("    ").unwrap_or(line));
        }
    }
    code.close("}");
}

/// Documentation (or `otherwise`), then the other attributes.
fn write_attributes(code: &mut Code, attributes: &[syn::Attribute], otherwise: String) {
    write_docs(code, attributes, otherwise);
    for attribute in attributes
        .iter()
        .filter(|attribute| doc_text(attribute).is_none())
    {
        let text = tokens(attribute);
        if let Some(inner) = text
            .strip_prefix("#[derive(")
            .and_then(|text| text.strip_suffix(")]"))
        {
            let names: Vec<String> = inner
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect();
            code.derive(&names);
        } else {
            code.line(text);
        }
    }
}

fn write_docs(code: &mut Code, attributes: &[syn::Attribute], otherwise: String) {
    let comment: Vec<String> = attributes.iter().filter_map(doc_text).map(plain).collect();
    code.docs(&docs::lines_or(&comment, otherwise));
}

fn doc_text(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let syn::Expr::Lit(syn::ExprLit {
        lit: syn::Lit::Str(text),
        ..
    }) = &pair.value
    else {
        return None;
    };
    pair.path.is_ident("doc").then(|| text.value())
}

/// Undoes prost's escapes, so that all comments are escaped in one way.
fn plain(line: String) -> String {
    line.replace("\\[", "[")
        .replace("\\]", "]")
        .split(' ')
        .map(|word| match word.strip_prefix("<http") {
            Some(rest) => format!("http{}", rest.replacen('>', "", 1)),
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Writes `::tenon::prost::alloc::string::String` as `String`, and so on, unless a message has
/// that name.
struct Shorten<'a> {
    names: &'a BTreeSet<String>,
}

impl VisitMut for Shorten<'_> {
    fn visit_type_path_mut(&mut self, path: &mut syn::TypePath) {
        syn::visit_mut::visit_type_path_mut(self, path);
        let names: Vec<String> = path
            .path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let known = matches!(
            names.as_slice(),
            ["core", "option", "Option"]
                | ["tenon", "prost", "alloc", "string" | "vec" | "boxed", _]
        );
        let last = path.path.segments.last().cloned();
        if let Some(last) =
            last.filter(|last| known && !self.names.contains(&last.ident.to_string()))
        {
            path.path = last.into();
        }
    }
}

/// A message of `google.protobuf` as prost maps it.
fn well_known(name: &str) -> String {
    match name {
        "Empty" => "()",
        "DoubleValue" => "f64",
        "FloatValue" => "f32",
        "Int64Value" => "i64",
        "UInt64Value" => "u64",
        "Int32Value" => "i32",
        "UInt32Value" => "u32",
        "BoolValue" => "bool",
        "StringValue" => "::std::string::String",
        "BytesValue" => "::std::vec::Vec<u8>",
        other => return format!("::tenon::prost_types::{other}"),
    }
    .to_owned()
}

fn joined(scope: &str, name: &str, separator: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}{separator}{name}")
    }
}

/// One item by the pretty-printer.
fn printed(item: syn::Item) -> String {
    prettyplease::unparse(&syn::File {
        shebang: None,
        attrs: Vec::new(),
        items: vec![item],
    })
}

/// A type as rustfmt would have it.
pub(super) fn type_text(ty: &syn::Type) -> String {
    let alias: syn::Item = syn::parse_quote! { type A = #ty; };
    let text = printed(alias);
    let text = text
        .trim()
        .trim_start_matches("type A =")
        .trim_end_matches(';');
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("< ", "<")
        .replace(", >", ">")
}

/// An attribute as rustfmt would have it.
pub(super) fn tokens(node: &impl quote::ToTokens) -> String {
    let attribute = node.to_token_stream().to_string();
    // Token text has spaces everywhere; the pretty-printer knows where they belong.
    if attribute.starts_with('#') {
        let text = format!("{attribute}\nstruct A;");
        if let Ok(file) = syn::parse_file(&text) {
            let text = prettyplease::unparse(&file);
            // A long list of derives is broken over several lines.
            let lines = text.lines().take_while(|line| *line != "struct A;");
            return lines.map(str::trim).collect::<Vec<_>>().join(" ");
        }
    }
    attribute
}
