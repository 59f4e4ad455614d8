//! The checked model of a REST contract: what the generator reads.
//!
//! Everything here has passed the checks of [`crate::api::load`], so a consumer may rely on
//! these facts:
//!
//! - Every [`Type::Struct`] names an entry of [`Api::types`]; names are unique, and no type
//!   is called like a built-in type.
//! - Embedded structs are flattened: a [`Struct`] lists all fields in wire order, and
//!   [`Field::embedded_from`] says where one came from. Anonymous nested structs are lifted
//!   to types of their own ([`Struct::lifted_from`]), named parent type + field name
//!   (`Patient` + `Address` = `PatientAddress`, then `PatientAddressInline` if that is taken).
//! - Within one struct no two fields have the same name, nor the same source and wire name.
//! - Only the top level of a request has path, query or header fields. Path fields are
//!   required scalars and agree with the parameters of every route that uses the type.
//! - `default`, `options` and `range` fit the field's type and each other.
//! - A type that contains itself without a list or map in between does so through optional
//!   fields, and those have [`Field::boxed`] set.
//! - Handlers are unique within a group, routes within the service.
//!
//! Names stay as the contract writes them; the Rust spelling, raw identifiers and name
//! clashes that only Rust sees are the generator's business. Each item keeps its [`Place`],
//! so that the generator can point at it with [`Api::diagnostic`].

use std::fmt;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, LineMap, Span};

/// A whole REST contract: the root file and all that it imports.
#[derive(Debug, Clone, Default)]
pub struct Api {
    /// The pairs of the root file's `info` block, as written; imported blocks are dropped.
    pub info: Vec<Pair>,
    /// The service; none where the files declare only types.
    pub service: Option<Service>,
    /// All types: imported files first, each file in the order of its text, a lifted type
    /// right after the type that it was lifted from.
    pub types: Vec<Struct>,
    /// The files that were read; [`Place::file`] is an index into this list. The root is
    /// the first.
    pub files: Vec<SourceFile>,
}

impl Api {
    /// The type called `name`.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&Struct> {
        self.types.iter().find(|item| item.name == name)
    }

    /// The value of an `info` key.
    #[must_use]
    pub fn info_value(&self, key: &str) -> Option<&str> {
        self.info
            .iter()
            .find(|pair| pair.key == key)
            .map(|pair| pair.value.as_str())
    }

    /// A finding at `place`, for checks that belong to a consumer of the model.
    #[must_use]
    pub fn diagnostic(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        match self.files.get(place.file) {
            Some(file) => Diagnostic::new(&file.path, &file.lines, place.span, message),
            None => Diagnostic::new("", &LineMap::default(), place.span, message),
        }
    }
}

/// One file that was read for a contract.
#[derive(Debug, Clone, Default)]
pub struct SourceFile {
    /// The path, as the source loader knows it.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The lines of `text`.
    pub lines: LineMap,
}

/// A range of bytes in one of [`Api::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// Index into [`Api::files`].
    pub file: usize,
    /// The bytes.
    pub span: Span,
}

/// One `key: value` of an `info`, `@server` or `@doc` block; quotes are taken off the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key as written.
    pub key: String,
    /// The value without its quotes.
    pub value: String,
    /// Where the value stands.
    pub place: Place,
}

/// A type of the contract; every type is a struct.
#[derive(Debug, Clone)]
pub struct Struct {
    /// The name as written (or as made, for a lifted type).
    pub name: String,
    /// Comment lines above the type and behind its opening brace, without comment marks.
    pub docs: Vec<String>,
    /// All fields, those of embedded structs included.
    pub fields: Vec<Field>,
    /// Set for an anonymous nested struct: (name of the parent type, name of the field).
    pub lifted_from: Option<(String, String)>,
    /// Where the name stands.
    pub place: Place,
}

impl Struct {
    /// The field called `name` in the contract.
    #[must_use]
    pub fn field_named(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields that come from `source`, in order.
    pub fn fields_from(&self, source: Source) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(move |field| field.source == source)
    }
}

/// A field of a [`Struct`].
#[derive(Debug, Clone)]
pub struct Field {
    /// The name as written, e.g. `PatientId`; may be a Rust keyword.
    pub name: String,
    /// The type without the outer pointer: `*int` is `int` with `optional` set.
    pub ty: Type,
    /// Comment lines above the field and behind it, without comment marks.
    pub docs: Vec<String>,
    /// Where a request carries the field. Fields of responses are all `Json` or `None`.
    pub source: Source,
    /// The name on the wire: from the tag, else the field name exactly as written, which is
    /// what Go's encoding does. Header names keep the case of the tag.
    pub wire_name: String,
    /// The field may be absent: a pointer or the `optional` option. Where `default` is set
    /// too, the field always has a value after binding.
    pub optional: bool,
    /// `optional=other` or `optional=!other`.
    pub presence: Option<Presence>,
    /// `omitempty`: left out of the output when it has the zero value of its type.
    pub omit_empty: bool,
    /// The value of an absent field.
    pub default: Option<Literal>,
    /// The accepted values; empty means any.
    pub options: Vec<Literal>,
    /// The accepted range of a number.
    pub range: Option<Range>,
    /// `string`: the number or boolean travels inside a JSON string.
    pub string_encoded: bool,
    /// `personal`: what identifies or describes a person, and is never printed.
    pub personal: bool,
    /// The field refers to its own type without a list or map in between; a Rust field needs
    /// a box. Only fields with `optional` can have it.
    pub boxed: bool,
    /// The embedded type that the field was declared in, where it is not this struct.
    pub embedded_from: Option<String>,
    /// Tags of other tools (`validate`, `example`, ...), key and value as written. Nothing
    /// in Tenon acts on them.
    pub other_tags: Vec<(String, String)>,
    /// Where the name stands.
    pub place: Place,
}

impl Field {
    /// Whether a request without the field is refused.
    #[must_use]
    pub fn required(&self) -> bool {
        !self.optional && self.default.is_none() && self.source != Source::None
    }
}

/// Where a request carries a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `path:"x"`: a `:x` segment.
    Path,
    /// `form:"x"`: the query string (or a form body).
    Query,
    /// `header:"x"`: a request header.
    Header,
    /// `json:"x"` or no tag: the JSON body.
    Json,
    /// `json:"-"`: never on the wire.
    None,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Path => "path",
            Source::Query => "form",
            Source::Header => "header",
            Source::Json => "json",
            Source::None => "none",
        })
    }
}

/// How the presence of a field depends on another field of the same struct, by wire name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// `optional=other`: both are there or neither is.
    With(String),
    /// `optional=!other`: exactly one of the two is there.
    Without(String),
}

/// The accepted range of a number; at least one end is given, and some value fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The lower end; none is open.
    pub low: Option<Bound>,
    /// The upper end; none is open.
    pub high: Option<Bound>,
}

/// One end of a [`Range`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// `Literal::Int` for an integer field, `Literal::Float` for a floating-point field.
    pub value: Literal,
    /// Whether the value itself is accepted: `[` and `]` are, `(` and `)` are not.
    pub inclusive: bool,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.low {
            Some(low) => write!(f, "{}{}:", if low.inclusive { '[' } else { '(' }, low.value)?,
            None => f.write_str("(:")?,
        }
        match &self.high {
            Some(high) => write!(
                f,
                "{}{}",
                high.value,
                if high.inclusive { ']' } else { ')' }
            ),
            None => f.write_str(")"),
        }
    }
}

/// A value in a tag, already of the field's type and within the limits of that type.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits the field's width and sign.
    Int(i128),
    /// A finite number.
    Float(f64),
    /// Text, also the empty text.
    String(String),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Int(value) => write!(f, "{value}"),
            Literal::Float(value) => write!(f, "{value:?}"),
            Literal::String(value) => write!(f, "{value:?}"),
        }
    }
}

/// The type of a value. There is no optional type: that is a property of the [`Field`], and
/// pointers inside lists, maps and bodies are dropped, because elements are never null.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `int` and `uint` (64 bits), the sized ones, `byte` (u8) and `rune` (i32).
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether negative values exist.
        signed: bool,
    },
    /// `float32`, `float64`.
    Float {
        /// 32 or 64.
        bits: u8,
    },
    /// `string`.
    String,
    /// `[]byte` and `[]uint8`: base64 text in JSON.
    Bytes,
    /// `time.Time`: an RFC 3339 instant with offset.
    Time,
    /// `any` and `interface{}`: any JSON value, null included.
    Any,
    /// A type of the contract, by name.
    Struct(String),
    /// `[]T`.
    List(Box<Type>),
    /// `[N]T`: exactly N elements, 1 to 65,536.
    Array(usize, Box<Type>),
    /// `map[K]V`: a JSON object. The key is `String` or `Int` (written as text in JSON).
    Map(Box<Type>, Box<Type>),
}

impl Type {
    /// Whether the value is one piece of text in a path, a query or a header: a boolean, a
    /// number, a string or a time.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Type::Bool | Type::Int { .. } | Type::Float { .. } | Type::String | Type::Time
        )
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int { bits, signed } => write!(f, "{}int{bits}", if *signed { "" } else { "u" }),
            Type::Float { bits } => write!(f, "float{bits}"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("[]byte"),
            Type::Time => f.write_str("time.Time"),
            Type::Any => f.write_str("any"),
            Type::Struct(name) => f.write_str(name),
            Type::List(item) => write!(f, "[]{item}"),
            Type::Array(length, item) => write!(f, "[{length}]{item}"),
            Type::Map(key, value) => write!(f, "map[{key}]{value}"),
        }
    }
}

/// The service of a contract: all `service` blocks of all files, which share one name.
#[derive(Debug, Clone)]
pub struct Service {
    /// The name as written, e.g. `patient-api`.
    pub name: String,
    /// The name in lower case without a final `-api`, e.g. `patient`; hyphens stay.
    pub crate_name: String,
    /// One entry per `service` block, those of imported files first; several may share a
    /// `group`.
    pub groups: Vec<Group>,
    /// Where the name first stands.
    pub place: Place,
}

impl Service {
    /// All routes with their group, in the order of the text.
    pub fn routes(&self) -> impl Iterator<Item = (&Group, &Route)> {
        self.groups
            .iter()
            .flat_map(|group| group.routes.iter().map(move |route| (group, route)))
    }
}

/// How much a request matters when not all can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// Shed last.
    Critical,
    /// What stands where nothing is written.
    Normal,
    /// Shed first.
    Sheddable,
}

/// One `service` block with the keys of the `@server` in front of it.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// `group`: a folder for handlers and logic, `/`-separated, without a leading slash.
    pub group: Option<String>,
    /// `prefix`, with a leading slash and none at the end; empty where there is none.
    pub prefix: String,
    /// `jwt`: the configuration block that holds the keys.
    pub jwt: Option<String>,
    /// `jwtTransition`: the configuration block with the current and the previous secret.
    pub jwt_transition: Option<String>,
    /// `middleware`, in the order in which a request meets them.
    pub middleware: Vec<String>,
    /// `timeout`. Zero stands for a written `0s`.
    pub timeout: Option<Duration>,
    /// `maxBytes`: limit of a request body in bytes.
    pub max_bytes: Option<u64>,
    /// `criticality`: whom overload hits first.
    pub criticality: Option<Criticality>,
    /// `maxInFlight`: how many requests of a route may be in flight.
    pub max_in_flight: Option<usize>,
    /// `permission`: what the caller must be granted, e.g. `subject.read`.
    pub permission: Option<String>,
    /// `strict: true`: unknown JSON fields are refused.
    pub strict: bool,
    /// `sse: true`: the routes answer with a stream of events of their response types.
    pub sse: bool,
    /// `summary`.
    pub summary: Option<String>,
    /// `tags`, split at commas.
    pub tags: Vec<String>,
    /// All other keys, e.g. `signature`; a generator must refuse the ones that
    /// promise security which it does not build.
    pub extra: Vec<Pair>,
    /// The routes in the order of the text.
    pub routes: Vec<Route>,
    /// Where the `@server` stands, or the `service` where there is none.
    pub place: Place,
}

impl Group {
    /// The pair of a key that Tenon does not act on, e.g. `signature`.
    #[must_use]
    pub fn extra_pair(&self, key: &str) -> Option<&Pair> {
        self.extra.iter().find(|pair| pair.key == key)
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Route {
    /// The handler as written, e.g. `getPatient`; unique within its group, case and
    /// underscores ignored.
    pub handler: String,
    /// The HTTP method.
    pub method: Method,
    /// The path as written, without the prefix, e.g. `/:patientId`.
    pub path: String,
    /// Prefix and path joined and cleaned: a leading slash, no slash at the end (the root is
    /// `/`), parameters as `:name`.
    pub full_path: String,
    /// The segments of `full_path`; empty for `/`.
    pub segments: Vec<Segment>,
    /// The request: a struct, or a whole JSON body (a list, a map or any value).
    pub request: Option<Body>,
    /// The response body; none answers without a body.
    pub response: Option<Body>,
    /// Comment lines of the route, without comment marks.
    pub docs: Vec<String>,
    /// The `@doc` text or its `summary`.
    pub summary: Option<String>,
    /// `status` of `@doc`: the status code of success, 200 to 399.
    pub status: Option<u16>,
    /// `tags` of `@doc`, split at commas; empty means those of the group.
    pub tags: Vec<String>,
    /// All other `@doc` keys.
    pub extra: Vec<Pair>,
    /// Where the method and path stand.
    pub place: Place,
    /// Where the handler's name stands.
    pub handler_place: Place,
}

impl Route {
    /// The names of the path's parameters in order. They may contain `-` and `.`.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Fixed text, of the characters `A-Z a-z 0-9 - _ .`, never `.` or `..`.
    Literal(String),
    /// `:name`, which takes a whole segment.
    Parameter(String),
}

/// A request or response body.
#[derive(Debug, Clone)]
pub struct Body {
    /// The type. A request is never a primitive.
    pub ty: Type,
    /// Where it stands.
    pub place: Place,
}

/// The HTTP methods that a route can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
}

impl Method {
    /// All methods, in the order of the enum.
    pub const ALL: [Method; 7] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
    ];

    /// The spelling in a contract, e.g. `get`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Head => "head",
            Method::Post => "post",
            Method::Put => "put",
            Method::Patch => "patch",
            Method::Delete => "delete",
            Method::Options => "options",
        }
    }
}
