//! Operations: handler, path, bodies, and how a path agrees with its request.

use std::collections::HashMap;

use super::{Checker, has_leading_letter, path};
use crate::api::comments;
use crate::api::lexer::TokenKind;
use crate::api::nearest::nearest;
use crate::api::tree::{NodeId, NodeKind};
use crate::model::{Body, Group, Method, Place, Route, Source, Struct, Type};

/// Handlers and routes met so far, with where they stand.
#[derive(Default)]
pub(super) struct Seen {
    /// By group and handler, case and underscores ignored.
    handlers: HashMap<(String, String), Place>,
    /// By method and path shape.
    routes: HashMap<(Method, String), Place>,
}

impl Checker<'_> {
    pub(super) fn item(
        &mut self,
        file: usize,
        item: NodeId,
        group: &Group,
        types: &[Struct],
        seen: &mut Seen,
    ) -> Option<Route> {
        let tree = self.tree(file);
        let handler = tree.child_of_kind(item, NodeKind::Handler)?;
        let route_node = tree.child_of_kind(item, NodeKind::Route)?;
        let handler_token = tree
            .child_tokens_of_kind(handler, TokenKind::Ident)
            .next()?;
        let mut route = self.route(file, route_node, group)?;
        route.handler = tree.token_text(handler_token).to_owned();
        route.handler_place = self.token_place(file, handler_token);
        route.docs = comments::of_item(tree, item);
        if let Some(doc) = tree.child_of_kind(item, NodeKind::Doc) {
            let text = tree
                .child_tokens(doc)
                .find(|token| tree.token_text(*token).starts_with(['"', '`']));
            route.summary = text.map(|token| super::unquoted(tree, token).to_owned());
            self.doc_keys(file, doc, &mut route);
        }
        self.check_handler(&route, group, seen);
        self.check_duplicate(&route, seen);
        self.check_status(&route);
        if group.sse {
            self.check_events(&route);
        }
        // A request that is not understood was reported; its fields are no second error.
        let written = tree
            .child_of_kind(route_node, NodeKind::Request)
            .and_then(|node| tree.child_nodes(node).next());
        if written.is_none() || route.request.is_some() {
            self.check_parameters(&route, types);
        }
        Some(route)
    }

    /// Method, path and bodies.
    fn route(&mut self, file: usize, node: NodeId, group: &Group) -> Option<Route> {
        let tree = self.tree(file);
        let method_token = tree.child_tokens_of_kind(node, TokenKind::Ident).next()?;
        let method = self.method(file, method_token);
        let path_node = tree.child_of_kind(node, NodeKind::Path)?;
        let written = tree.node_text(path_node).to_owned();
        let path_place = self.place(file, path_node);
        let segments = match path::segments(&format!("{}{written}", group.prefix)) {
            Ok(segments) => Some(segments),
            Err((message, hint)) => {
                self.report_with(path_place, message, hint);
                None
            }
        };
        let request = self.body(file, node, NodeKind::Request);
        let response = self.body(file, node, NodeKind::Response);
        let (method, segments) = (method?, segments?);
        Some(Route {
            handler: String::new(),
            method,
            path: written,
            full_path: path::joined(&segments),
            segments,
            request,
            response,
            docs: Vec::new(),
            summary: None,
            status: None,
            tags: Vec::new(),
            extra: Vec::new(),
            place: Place {
                file,
                span: tree.token_span(method_token).to(path_place.span),
            },
            handler_place: path_place,
        })
    }

    fn method(&mut self, file: usize, token: usize) -> Option<Method> {
        let word = self.tree(file).token_text(token);
        let method = Method::ALL
            .into_iter()
            .find(|method| method.as_str() == word);
        if method.is_none() {
            let place = self.token_place(file, token);
            let message = format!("method `{word}` cannot be routed");
            let diagnostic = self
                .at(place, message)
                .expecting(Method::ALL.map(Method::as_str));
            self.diagnostics.push(diagnostic);
        }
        method
    }

    fn body(&mut self, file: usize, route: NodeId, kind: NodeKind) -> Option<Body> {
        let tree = self.tree(file);
        let node = tree.child_of_kind(route, kind)?;
        let type_node = tree.child_nodes(node).next()?;
        let place = self.place(file, type_node);
        let ty = self.resolve(file, type_node, None)?.ty;
        if kind == NodeKind::Request && (ty.is_scalar() || ty == Type::Bytes) {
            self.report_with(
                place,
                format!("a request cannot be a bare `{ty}`"),
                "declare a type with a field; a list, a map or `any` is fine too",
            );
            return None;
        }
        Some(Body { ty, place })
    }

    fn check_handler(&mut self, route: &Route, group: &Group, seen: &mut Seen) {
        let name = &route.handler;
        if !has_leading_letter(name) {
            self.report(
                route.handler_place,
                format!("handler name `{name}` does not start with a letter"),
            );
        }
        let key = (
            group.group.clone().unwrap_or_default(),
            name.replace('_', "").to_lowercase(),
        );
        if let Some(first) = seen.handlers.get(&key).copied() {
            let space = match &group.group {
                Some(group) => format!("in group `{group}`"),
                None => "among the blocks without a group".to_owned(),
            };
            let first = self.line_of(first);
            let message = format!("handler `{name}` is there twice {space}");
            let hint = format!("the other is at {first}; case and underscores do not count");
            self.report_with(route.handler_place, message, hint);
        } else {
            seen.handlers.insert(key, route.handler_place);
        }
    }

    fn check_duplicate(&mut self, route: &Route, seen: &mut Seen) {
        let key = (route.method, path::shape(&route.segments));
        if let Some(first) = seen.routes.get(&key).copied() {
            let first = self.line_of(first);
            let message = format!(
                "route `{} {}` is there twice",
                route.method.as_str(),
                route.full_path
            );
            self.report_with(
                route.place,
                message,
                format!("the other is at {first}; names of parameters do not tell routes apart"),
            );
        } else {
            seen.routes.insert(key, route.place);
        }
    }

    fn check_status(&mut self, route: &Route) {
        if let (Some(status @ (204 | 205 | 304)), Some(response)) = (route.status, &route.response)
        {
            let message = format!(
                "status {status} has no body, but the route returns `{}`",
                response.ty
            );
            self.report_with(
                response.place,
                message,
                "leave `returns` out, or choose another status",
            );
        }
    }

    /// A stream of events needs the type of its events, and a method that has a body.
    fn check_events(&mut self, route: &Route) {
        if route.response.is_none() {
            self.report_with(
                route.place,
                format!(
                    "route `{}` streams events and has no type of them",
                    route.handler
                ),
                "name the type of one event: `returns (Progress)`",
            );
        }
        if matches!(route.method, Method::Head | Method::Options) {
            let message = format!(
                "`{}` has no body to stream events in",
                route.method.as_str()
            );
            self.report_with(route.place, message, "use `get` or `post`");
        }
        if let Some(status) = route.status.filter(|status| *status != 200) {
            let message = format!("a stream of events has status 200, not {status}");
            self.report_with(route.place, message, "leave `status` out");
        }
    }

    /// Every parameter has a path field in the request, and every path field a parameter.
    fn check_parameters(&mut self, route: &Route, types: &[Struct]) {
        let request = match route.request.as_ref().map(|body| &body.ty) {
            Some(Type::Struct(name)) => types.iter().find(|item| item.name == *name),
            _ => None,
        };
        let fields: Vec<&str> = request
            .map(|item| {
                item.fields_from(Source::Path)
                    .map(|field| field.wire_name.as_str())
                    .collect()
            })
            .unwrap_or_default();
        let mut met: Vec<&str> = Vec::new();
        for name in route.parameters() {
            if met.contains(&name) {
                self.report(
                    route.place,
                    format!(
                        "path parameter `{name}` is there twice in `{}`",
                        route.full_path
                    ),
                );
            } else if !fields.contains(&name)
                && !request.is_some_and(|item| self.incomplete.contains(&item.name))
            {
                let message = match request {
                    Some(item) => {
                        format!("path parameter `{name}` has no field in `{}`", item.name)
                    }
                    None => format!(
                        "path parameter `{name}` has no field, the request is no type with fields"
                    ),
                };
                let hint = match nearest(name, fields.iter().copied()) {
                    Some(close) => format!("did you mean `:{close}`?"),
                    None => format!("add a field with the tag `path:\"{name}\"` to the request"),
                };
                self.report_with(route.place, message, hint);
            }
            met.push(name);
        }
        if let (Some(item), Some(body)) = (request, &route.request) {
            for field in item
                .fields_from(Source::Path)
                .filter(|field| !met.contains(&field.wire_name.as_str()))
            {
                let message = format!(
                    "field `{}` of `{}` reads path parameter `{}`, which `{}` does not have",
                    field.name, item.name, field.wire_name, route.full_path
                );
                let hint = format!(
                    "put `:{}` into the path, or bind the field elsewhere",
                    field.wire_name
                );
                self.report_with(body.place, message, hint);
            }
        }
    }
}
