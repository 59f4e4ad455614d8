//! Type declarations, fields and data types.

use super::cursor::{MAX_DEPTH, Parser};
use crate::api::lexer::TokenKind;
use crate::api::tree::NodeKind;

impl Parser<'_> {
    /// `type X {...}` or `type ( X {...} ... )`.
    pub(super) fn type_statement(&mut self) {
        self.start(NodeKind::TypeStatement);
        self.bump();
        if !self.at(TokenKind::OpenParen) {
            self.type_declaration();
            self.finish();
            return;
        }
        self.bump();
        while !self.at_end() && !self.at(TokenKind::CloseParen) && !self.starts_statement() {
            let before = self.position();
            self.type_declaration();
            if self.position() == before {
                self.skip_line();
            }
        }
        self.expect(TokenKind::CloseParen, "`)`");
        self.finish();
    }

    fn type_declaration(&mut self) {
        if !self.at(TokenKind::Ident) {
            self.unexpected(&["a type name"]);
            if !self.at_end() && !self.starts_statement() {
                self.skip_line();
            }
            return;
        }
        self.start(NodeKind::TypeDeclaration);
        self.bump();
        if self.at(TokenKind::OpenBracket)
            && self.is_adjacent()
            && self.kind_at(1) == Some(TokenKind::Ident)
        {
            self.error_here("a type cannot have parameters")
                .hint("declare one type for each use");
            while !self.at_end() && !self.at(TokenKind::OpenBrace) && !self.on_new_line() {
                self.skip_one();
            }
        }
        if self.at(TokenKind::Equals) {
            self.bump();
        }
        if !self.at_type() {
            self.unexpected(&["`{`"]);
            self.skip_rest();
        } else if !self.data_type() {
            self.skip_rest();
        }
        self.finish();
    }

    /// Whether the next token can start a data type.
    fn at_type(&self) -> bool {
        self.type_at(0)
    }

    fn type_at(&self, ahead: usize) -> bool {
        matches!(
            self.kind_at(ahead),
            Some(
                TokenKind::Ident | TokenKind::OpenBracket | TokenKind::OpenBrace | TokenKind::Star
            )
        )
    }

    /// A data type. False after an error, which leaves the rest to the caller.
    pub(super) fn data_type(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.error_here(format!("types are nested more than {MAX_DEPTH} deep"))
                .hint("declare the inner type by name");
            return false;
        }
        if self.depth > 0 && self.on_new_line() {
            self.error_behind("the type ends here")
                .expecting("a type behind this");
            return false;
        }
        self.depth += 1;
        let good = match (self.kind(), self.text()) {
            (Some(TokenKind::Star), _) => self.pointer_type(),
            (Some(TokenKind::OpenBracket), _) => self.bracket_type(),
            (Some(TokenKind::OpenBrace), _) => self.struct_type(),
            (Some(TokenKind::Ident), "struct") if self.kind_at(1) == Some(TokenKind::OpenBrace) => {
                self.struct_type()
            }
            (Some(TokenKind::Ident), "map") if self.kind_at(1) == Some(TokenKind::OpenBracket) => {
                self.map_type()
            }
            (Some(TokenKind::Ident), "interface") => self.interface_type(),
            (Some(TokenKind::Ident), _) => self.named_type(),
            _ => {
                self.unexpected(&["a type"]);
                false
            }
        };
        self.depth -= 1;
        good
    }

    fn pointer_type(&mut self) -> bool {
        self.start(NodeKind::PointerType);
        self.bump();
        let good = self.data_type();
        self.finish();
        good
    }

    /// `[]T`, `[N]T` or `[...]T`.
    fn bracket_type(&mut self) -> bool {
        let kind = if self.kind_at(1) == Some(TokenKind::CloseBracket) {
            NodeKind::ListType
        } else {
            NodeKind::ArrayType
        };
        self.start(kind);
        self.bump();
        let mut good = true;
        if kind == NodeKind::ArrayType {
            if matches!(self.kind(), Some(TokenKind::Int | TokenKind::Ellipsis)) {
                self.bump();
            } else {
                self.unexpected(&["`]`", "a length"]);
                good = false;
            }
        }
        good = good && self.expect(TokenKind::CloseBracket, "`]`") && self.data_type();
        self.finish();
        good
    }

    fn map_type(&mut self) -> bool {
        self.start(NodeKind::MapType);
        self.bump();
        self.bump();
        let good =
            self.data_type() && self.expect(TokenKind::CloseBracket, "`]`") && self.data_type();
        self.finish();
        good
    }

    fn interface_type(&mut self) -> bool {
        self.start(NodeKind::InterfaceType);
        self.bump();
        let good =
            self.expect(TokenKind::OpenBrace, "`{}`") && self.expect(TokenKind::CloseBrace, "`}`");
        self.finish();
        good
    }

    fn named_type(&mut self) -> bool {
        self.start(NodeKind::NamedType);
        self.bump();
        let mut good = true;
        while good && self.at(TokenKind::Dot) && self.is_adjacent() {
            self.bump();
            good = !self.on_new_line();
            if good {
                good = self.expect(TokenKind::Ident, "a type name");
            } else {
                self.error_behind("the type ends with a dot")
                    .expecting("a type name behind this");
            }
        }
        self.finish();
        good
    }

    fn struct_type(&mut self) -> bool {
        self.start(NodeKind::StructType);
        if self.at_word("struct") {
            self.bump();
        }
        self.bump();
        while !self.at_end() && !self.at(TokenKind::CloseBrace) && !self.starts_statement() {
            self.field();
        }
        let good = self.at(TokenKind::CloseBrace);
        if good {
            self.bump();
        } else {
            self.unexpected(&["a field", "`}`"])
                .hint("a `}` is missing before this");
        }
        self.finish();
        good
    }

    fn field(&mut self) {
        let embedded = match self.kind() {
            Some(TokenKind::Star) => true,
            Some(TokenKind::Ident) => {
                let named = self.kind_at(1) == Some(TokenKind::Comma)
                    || (self.type_at(1) && !self.on_new_line_at(1));
                !named
            }
            _ => {
                self.unexpected(&["a field name", "`}`"]);
                self.skip_line();
                return;
            }
        };
        let good = if embedded {
            self.embedded_field()
        } else {
            self.named_field()
        };
        if !good {
            self.skip_rest();
        }
    }

    fn embedded_field(&mut self) -> bool {
        self.start(NodeKind::EmbeddedField);
        let star = self.at(TokenKind::Star);
        if star {
            self.bump();
        }
        let good = if self.at(TokenKind::Ident) {
            self.named_type() && self.field_end()
        } else {
            self.unexpected(&["the name of a type to embed"]);
            false
        };
        self.finish();
        good
    }

    /// `A, B T` and its tag.
    fn named_field(&mut self) -> bool {
        self.start(NodeKind::Field);
        self.bump();
        let mut good = true;
        while good && self.at(TokenKind::Comma) {
            self.bump();
            good = self.expect(TokenKind::Ident, "a field name");
        }
        if good && (!self.at_type() || self.on_new_line()) {
            self.unexpected(&["a type"]);
            good = false;
        }
        good = good && self.data_type() && self.field_end();
        self.finish();
        good
    }

    /// The tag, where there is one, and nothing behind it that cannot be another field.
    fn field_end(&mut self) -> bool {
        if self.at(TokenKind::Raw) {
            self.bump();
        } else if self.at(TokenKind::String) {
            self.error_here("a tag in double quotes")
                .hint("put the tag in backquotes: `json:\"name\"`");
            self.bump();
        }
        let ends = self.at_end()
            || self.on_new_line()
            || matches!(
                self.kind(),
                Some(TokenKind::CloseBrace | TokenKind::Ident | TokenKind::Star)
            );
        if !ends {
            self.unexpected(&["a tag in backquotes", "the end of the line", "`}`"]);
        }
        ends
    }
}
