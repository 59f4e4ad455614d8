//! Names that a type can have, cannot have, and has by itself.

use crate::model::Type;

/// The built-in types.
pub(super) const BUILTINS: [(&str, Type); 18] = [
    ("bool", Type::Bool),
    ("string", Type::String),
    (
        "int",
        Type::Int {
            bits: 64,
            signed: true,
        },
    ),
    (
        "int8",
        Type::Int {
            bits: 8,
            signed: true,
        },
    ),
    (
        "int16",
        Type::Int {
            bits: 16,
            signed: true,
        },
    ),
    (
        "int32",
        Type::Int {
            bits: 32,
            signed: true,
        },
    ),
    (
        "int64",
        Type::Int {
            bits: 64,
            signed: true,
        },
    ),
    (
        "uint",
        Type::Int {
            bits: 64,
            signed: false,
        },
    ),
    (
        "uint8",
        Type::Int {
            bits: 8,
            signed: false,
        },
    ),
    (
        "uint16",
        Type::Int {
            bits: 16,
            signed: false,
        },
    ),
    (
        "uint32",
        Type::Int {
            bits: 32,
            signed: false,
        },
    ),
    (
        "uint64",
        Type::Int {
            bits: 64,
            signed: false,
        },
    ),
    (
        "byte",
        Type::Int {
            bits: 8,
            signed: false,
        },
    ),
    (
        "rune",
        Type::Int {
            bits: 32,
            signed: true,
        },
    ),
    ("float32", Type::Float { bits: 32 }),
    ("float64", Type::Float { bits: 64 }),
    ("any", Type::Any),
    ("time.Time", Type::Time),
];

/// The built-in type of that name.
pub(super) fn builtin(name: &str) -> Option<Type> {
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, ty)| ty.clone())
}

/// Words of Go; a contract that uses one as a type name could not go back to goctl.
pub(super) const GO_KEYWORDS: [&str; 25] = [
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "type",
    "var",
];

/// Names that mean something in a type but are no types of a contract, and what to write.
pub(super) const REFUSED: [(&str, &str); 16] = [
    ("complex64", "complex numbers have no JSON form"),
    ("complex128", "complex numbers have no JSON form"),
    (
        "uintptr",
        "addresses mean nothing outside a process; use `uint64`",
    ),
    ("error", "an error is not a value of a contract"),
    ("chan", "channels have no JSON form"),
    ("func", "functions have no JSON form"),
    ("float", "write `float64`"),
    ("double", "write `float64`"),
    ("number", "write `int64` or `float64`"),
    ("integer", "write `int`"),
    ("long", "write `int64`"),
    ("boolean", "write `bool`"),
    ("str", "write `string`"),
    ("object", "write `any`, or declare a type"),
    ("time", "write `time.Time`"),
    ("date", "write `string` or `time.Time`"),
];
