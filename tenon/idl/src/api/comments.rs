//! Which comments speak about which declaration.

use super::tree::{NodeId, Tree};

/// The lines of the comments above the node and behind it on its last line.
pub(super) fn around(tree: &Tree, node: NodeId) -> Vec<String> {
    let tokens = meaningful(tree, node);
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Vec::new();
    };
    let mut comments = tree.comments_above(*first);
    comments.extend(tree.comments_behind(*last));
    lines(tree, &comments)
}

/// The comments of a type: above `above`, behind its opening brace, and behind a closing
/// brace that ends a one-line type.
pub(super) fn of_type(tree: &Tree, above: NodeId, struct_type: NodeId) -> Vec<String> {
    let mut comments = meaningful(tree, above)
        .first()
        .map(|first| tree.comments_above(*first))
        .unwrap_or_default();
    let braces: Vec<usize> = tree
        .child_tokens(struct_type)
        .filter(|token| tree.token_text(*token) == "{")
        .collect();
    if let Some(open) = braces.first() {
        comments.extend(tree.comments_behind(*open));
    }
    lines(tree, &comments)
}

/// The comments of an operation: above it, between its parts, and behind each of them.
pub(super) fn of_item(tree: &Tree, item: NodeId) -> Vec<String> {
    let tokens = meaningful(tree, item);
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Vec::new();
    };
    let mut comments = tree.comments_above(*first);
    comments.extend((*first..*last).filter(|index| is_comment(tree, *index)));
    comments.extend(tree.comments_behind(*last));
    lines(tree, &comments)
}

/// The node in front of which the comments of a declaration stand: the declaration in a
/// group, the `type` word of a single one.
pub(super) fn anchor(tree: &Tree, statement: NodeId, declaration: NodeId) -> NodeId {
    let grouped = tree
        .child_tokens(statement)
        .any(|token| tree.token_text(token) == "(");
    if grouped { declaration } else { statement }
}

fn lines(tree: &Tree, comments: &[usize]) -> Vec<String> {
    comments
        .iter()
        .flat_map(|comment| tree.comment_lines(*comment))
        .collect()
}

fn is_comment(tree: &Tree, token: usize) -> bool {
    tree.tokens()
        .get(token)
        .is_some_and(|token| token.kind.is_comment())
}

fn meaningful(tree: &Tree, node: NodeId) -> Vec<usize> {
    let mut tokens = tree.tokens_below(node);
    tokens.retain(|token| {
        tree.tokens()
            .get(*token)
            .is_some_and(|token| !token.kind.is_trivia())
    });
    tokens
}
