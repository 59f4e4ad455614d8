//! The lossless syntax tree of one `.api` file.
//!
//! A [`Tree`] owns the text, all its tokens and the nodes over them. Walking the tokens in
//! order gives the text back byte for byte, whatever the text was, which is what a formatter
//! and an editor need. A node starts at its first meaningful token: white space and comments
//! before it belong to its parent, and [`Tree::comments_above`] and [`Tree::comments_behind`]
//! find the ones that speak about it.

use super::lexer::{Token, TokenKind};
use crate::diagnostic::{LineMap, Span};

/// The syntax tree of one file.
#[derive(Debug, Clone)]
pub struct Tree {
    text: String,
    lines: LineMap,
    tokens: Vec<Token>,
    nodes: Vec<NodeData>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// The whole file: statements in order.
    File,
    /// `syntax = "v1"`.
    Syntax,
    /// `info (...)`: pairs.
    Info,
    /// `import "x"` or `import (...)`: the paths are string tokens.
    Import,
    /// `type X {...}` or `type (...)`: declarations.
    TypeStatement,
    /// `X {...}`: a name token and a type node.
    TypeDeclaration,
    /// `struct {...}`, with or without the word: fields.
    StructType,
    /// `a.b.c`: identifiers with dots.
    NamedType,
    /// `interface{}`.
    InterfaceType,
    /// `*T`.
    PointerType,
    /// `[]T`.
    ListType,
    /// `[N]T` or `[...]T`.
    ArrayType,
    /// `map[K]V`: two type nodes.
    MapType,
    /// `A, B T` and its tag: name tokens, a type node, a raw string.
    Field,
    /// `Base` or `*Base` and its tag.
    EmbeddedField,
    /// `@server (...)`: pairs.
    Server,
    /// One `service` block: an optional `Server`, a `ServiceName`, items.
    Service,
    /// The name of a service, e.g. `patient-api`.
    ServiceName,
    /// One operation: an optional `Doc`, a `Handler`, a `Route`.
    Item,
    /// `@doc "x"` or `@doc (...)`.
    Doc,
    /// `@handler x`.
    Handler,
    /// Method, `Path`, an optional `Request`, an optional `Response`.
    Route,
    /// The path of a route.
    Path,
    /// `(T)` behind the path.
    Request,
    /// `returns (T)`.
    Response,
    /// `key: value`.
    Pair,
    /// The value of a pair.
    Value,
    /// Text that fits nowhere; a diagnostic speaks of it.
    Error,
}

/// A node of a [`Tree`], by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// A child of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// A token, as an index into [`Tree::tokens`].
    Token(usize),
    /// A node.
    Node(NodeId),
}

#[derive(Debug, Clone)]
struct NodeData {
    kind: NodeKind,
    children: Vec<Child>,
}

impl Tree {
    /// The node of the whole file.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text.
    #[must_use]
    pub fn lines(&self) -> &LineMap {
        &self.lines
    }

    /// All tokens in the order of the text, white space and comments included.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The text of the token with index `token`; empty for an index that is out of range.
    #[must_use]
    pub fn token_text(&self, token: usize) -> &str {
        self.tokens
            .get(token)
            .and_then(|token| self.text.get(token.span.start..token.span.end))
            .unwrap_or("")
    }

    /// What the node is.
    #[must_use]
    pub fn kind(&self, node: NodeId) -> NodeKind {
        self.nodes
            .get(node.0)
            .map_or(NodeKind::Error, |data| data.kind)
    }

    /// Tokens and nodes right below the node, in order.
    #[must_use]
    pub fn children(&self, node: NodeId) -> &[Child] {
        self.nodes.get(node.0).map_or(&[], |data| &data.children)
    }

    /// The nodes right below the node, in order.
    pub fn child_nodes(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children(node).iter().filter_map(|child| match child {
            Child::Node(node) => Some(*node),
            Child::Token(_) => None,
        })
    }

    /// The nodes of one kind right below the node.
    pub fn children_of_kind(
        &self,
        node: NodeId,
        kind: NodeKind,
    ) -> impl Iterator<Item = NodeId> + '_ {
        self.child_nodes(node)
            .filter(move |child| self.kind(*child) == kind)
    }

    /// The first node of one kind right below the node.
    #[must_use]
    pub fn child_of_kind(&self, node: NodeId, kind: NodeKind) -> Option<NodeId> {
        self.children_of_kind(node, kind).next()
    }

    /// Indices of the tokens right below the node that are neither space nor comments.
    pub fn child_tokens(&self, node: NodeId) -> impl Iterator<Item = usize> + '_ {
        self.children(node).iter().filter_map(|child| match child {
            Child::Token(token) if !self.tokens.get(*token)?.kind.is_trivia() => Some(*token),
            _ => None,
        })
    }

    /// Indices of the tokens of one kind right below the node.
    pub fn child_tokens_of_kind(
        &self,
        node: NodeId,
        kind: TokenKind,
    ) -> impl Iterator<Item = usize> + '_ {
        self.child_tokens(node).filter(move |token| {
            self.tokens
                .get(*token)
                .is_some_and(|token| token.kind == kind)
        })
    }

    /// Indices of all tokens below the node, at any depth, in the order of the text.
    #[must_use]
    pub fn tokens_below(&self, node: NodeId) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![Child::Node(node)];
        while let Some(child) = open.pop() {
            match child {
                Child::Token(token) => found.push(token),
                Child::Node(node) => open.extend(self.children(node).iter().rev().copied()),
            }
        }
        found
    }

    /// The bytes of the node, from its first to its last meaningful token.
    #[must_use]
    pub fn span(&self, node: NodeId) -> Span {
        let mut tokens = self.tokens_below(node);
        tokens.retain(|token| {
            self.tokens
                .get(*token)
                .is_some_and(|token| !token.kind.is_trivia())
        });
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.token_span(*first).to(self.token_span(*last)),
            _ => Span::default(),
        }
    }

    /// The bytes of a token.
    #[must_use]
    pub fn token_span(&self, token: usize) -> Span {
        self.tokens
            .get(token)
            .map_or_else(Span::default, |token| token.span)
    }

    /// The text of a node from its first to its last meaningful token.
    #[must_use]
    pub fn node_text(&self, node: NodeId) -> &str {
        let span = self.span(node);
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Indices of the comments on the lines right above the token, in order. A blank line ends
    /// them, and a comment behind other code on its line belongs to that code.
    #[must_use]
    pub fn comments_above(&self, token: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for index in (0..token.min(self.tokens.len())).rev() {
            let kind = self.tokens[index].kind;
            if kind == TokenKind::Whitespace {
                if self.token_text(index).matches('\n').count() > 1 {
                    break;
                }
            } else if kind.is_comment() {
                found.push(index);
            } else {
                // The comments on the line of this token speak about it.
                let line = self.lines.line(self.tokens[index].span.end);
                found.retain(|comment| self.lines.line(self.tokens[*comment].span.start) != line);
                break;
            }
        }
        found.reverse();
        found
    }

    /// Indices of the comments behind the token on the line where it ends; commas and
    /// semicolons in between are passed over.
    #[must_use]
    pub fn comments_behind(&self, token: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for index in token + 1..self.tokens.len() {
            let kind = self.tokens[index].kind;
            if kind.is_comment() {
                found.push(index);
            }
            let passed =
                kind.is_trivia() || matches!(kind, TokenKind::Comma | TokenKind::Semicolon);
            if !passed || self.token_text(index).contains('\n') {
                break;
            }
        }
        found
    }

    /// The lines of a comment without its marks, e.g. `患者姓名` for `// 患者姓名`.
    #[must_use]
    pub fn comment_lines(&self, token: usize) -> Vec<String> {
        let text = self.token_text(token);
        if let Some(line) = text.strip_prefix("//") {
            let line = line.trim_start_matches('/').trim_end();
            return vec![line.strip_prefix(' ').unwrap_or(line).to_owned()];
        }
        let body = text
            .trim_start_matches("/*")
            .trim_end_matches("*/")
            .trim_start_matches('*');
        let mut lines: Vec<String> = body
            .lines()
            .map(|line| {
                let line = line.trim();
                let line = line.strip_prefix('*').unwrap_or(line);
                line.strip_prefix(' ').unwrap_or(line).to_owned()
            })
            .collect();
        while lines.first().is_some_and(String::is_empty) {
            lines.remove(0);
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}

/// Builds a [`Tree`] from start and finish calls of the parser.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    nodes: Vec<NodeData>,
    open: Vec<usize>,
}

impl TreeBuilder {
    /// An open file node.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![NodeData {
                kind: NodeKind::File,
                children: Vec::new(),
            }],
            open: vec![0],
        }
    }

    /// Opens a node below the innermost open one.
    pub(crate) fn start(&mut self, kind: NodeKind) {
        let id = self.nodes.len();
        self.nodes.push(NodeData {
            kind,
            children: Vec::new(),
        });
        self.push(Child::Node(NodeId(id)));
        self.open.push(id);
    }

    /// Adds a token to the innermost open node.
    pub(crate) fn token(&mut self, index: usize) {
        self.push(Child::Token(index));
    }

    /// Closes the innermost node, never the file.
    pub(crate) fn finish(&mut self) {
        if self.open.len() > 1 {
            self.open.pop();
        }
    }

    /// The finished tree.
    pub(crate) fn build(self, text: String, tokens: Vec<Token>) -> Tree {
        let lines = LineMap::new(&text);
        Tree {
            text,
            lines,
            tokens,
            nodes: self.nodes,
        }
    }

    fn push(&mut self, child: Child) {
        if let Some(node) = self.open.last().and_then(|open| self.nodes.get_mut(*open)) {
            node.children.push(child);
        }
    }
}
