//! RPC contracts: `.proto` files, compiled by protox without `protoc`.
//!
//! [`load`] reads a root file and all that it imports through a [`SourceLoader`] and gives the
//! services with their comments and the whole descriptor set. The well-known types under
//! `google/protobuf/`, the two files of `google.api.http`, `google.api.HttpBody` and
//! `tenon/options.proto` are built in; a file of the loader with such a path goes before them.

mod fault;
mod http;
mod options;
mod sources;

use std::collections::{BTreeSet, HashMap};

use prost_types::FileDescriptorProto;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor};

use crate::diagnostic::{Diagnostic, LineMap, Span};
use crate::model::Criticality;
use crate::source::SourceLoader;

pub use http::HttpRule;

/// A compiled RPC contract.
#[derive(Debug, Clone)]
pub struct Proto {
    /// The package of the root file; empty where it names none.
    pub package: String,
    /// The name of the root file in the descriptor set, e.g. `patient.proto`.
    pub root: String,
    /// The services of the root file, in the order of the text.
    pub services: Vec<RpcService>,
    /// All files, imported ones before those that import them, well-known types included,
    /// with comments and places (`source_code_info`).
    pub descriptor_set: prost_types::FileDescriptorSet,
    /// The same set as bytes: without comments and places, and with the options that the types
    /// of prost drop, such as `google.api.http`.
    pub descriptor_bytes: Vec<u8>,
    /// The full names of the fields with the option `debug_redact`: what identifies or describes
    /// a person, and is never printed. The types of prost drop that option too.
    pub redacted: BTreeSet<String>,
    /// The files that came from the loader; the root is the first.
    pub files: Vec<ProtoFile>,
}

impl Proto {
    /// The descriptor of the root file.
    #[must_use]
    pub fn root_file(&self) -> Option<&FileDescriptorProto> {
        self.descriptor_set
            .file
            .iter()
            .find(|file| file.name() == self.root)
    }

    /// A finding at a line and column of the root file, for checks of a consumer.
    #[must_use]
    pub fn diagnostic(&self, position: Position, message: impl Into<String>) -> Diagnostic {
        let (path, text) = self
            .files
            .first()
            .map_or(("", ""), |file| (file.path.as_str(), file.text.as_str()));
        let offset = position.offset(text);
        Diagnostic::new(
            path,
            &LineMap::new(text),
            Span::new(offset, offset),
            message,
        )
    }
}

/// A file that was read for a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtoFile {
    /// The name by which files import it.
    pub name: String,
    /// The path, as the source loader knows it.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcService {
    /// The name as written, e.g. `PatientService`.
    pub name: String,
    /// With its package, e.g. `patient.PatientService`.
    pub full_name: String,
    /// The lines of its comments.
    pub docs: Vec<String>,
    /// The methods in the order of the text.
    pub methods: Vec<Method>,
    /// Where it stands in the root file.
    pub position: Position,
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// The name as written, e.g. `getPatientsByTrial`; it is the name on the wire.
    pub name: String,
    /// The full name of the request message, e.g. `patient.GetPatientsByTrialReq`.
    pub input: String,
    /// The full name of the response message.
    pub output: String,
    /// The client sends a stream.
    pub client_streaming: bool,
    /// The server answers with a stream.
    pub server_streaming: bool,
    /// `option idempotency_level` says that the method may be called twice.
    pub idempotent: bool,
    /// `option (tenon.criticality)`: whom overload hits first.
    pub criticality: Option<Criticality>,
    /// How it is opened over HTTP: `option (google.api.http)`, its own rule first.
    pub http: Vec<HttpRule>,
    /// The lines of its comments.
    pub docs: Vec<String>,
    /// Where it stands in the root file.
    pub position: Position,
}

/// A place in a file, both counted from 0 as descriptors do; the column counts bytes or
/// characters as protox does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    fn offset(self, text: &str) -> usize {
        let start: usize = text
            .split_inclusive('\n')
            .take(self.line)
            .map(str::len)
            .sum();
        (start + self.column).min(text.len())
    }
}

/// The text of a file that contracts may import without having it: the rules by which methods are
/// opened over HTTP, the body that is no JSON, and what Tenon itself wants to know of them.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    match name {
        "google/api/annotations.proto" => Some(include_str!("proto/google/api/annotations.proto")),
        "google/api/http.proto" => Some(include_str!("proto/google/api/http.proto")),
        "google/api/httpbody.proto" => Some(include_str!("proto/google/api/httpbody.proto")),
        options::FILE => Some(include_str!("proto/tenon/options.proto")),
        _ => None,
    }
}

/// Whether a built-in file holds options only, and no message that a contract would send.
#[must_use]
pub fn is_of_options(name: &str) -> bool {
    matches!(
        name,
        "google/api/annotations.proto" | "google/api/http.proto" | options::FILE
    )
}

/// Compiles the file at the path `root` with all that it imports.
///
/// Imports are looked up in the folders `includes`, in order, then in the folder of the root
/// file if it lies in none of them (so no folder at all means the root's own).
///
/// # Errors
/// The findings, located. Syntax errors of all files that can be reached come together (a file
/// that does not parse hides its imports); errors of names and types come only when every file
/// parses.
pub fn load(
    loader: &dyn SourceLoader,
    root: &str,
    includes: &[&str],
) -> Result<Proto, Vec<Diagnostic>> {
    let sources = sources::Sources::collect(loader, root, includes)?;
    let root_name = sources.root_name().to_owned();
    let compiled = |with_places: bool| {
        let mut compiler = protox::Compiler::with_file_resolver(sources.resolver());
        compiler
            .include_imports(true)
            .include_source_info(with_places);
        compiler
            .open_file(&root_name)
            .map_err(|error| fault::diagnostics(&error, &sources))?;
        Ok::<_, Vec<Diagnostic>>(compiler)
    };
    let compiler = compiled(true)?;
    let descriptor_set = compiler.file_descriptor_set();
    let criticalities = options::criticalities(&compiler.descriptor_pool());
    let rules = http::rules(&compiler.descriptor_pool());
    let bare = compiled(false)?;
    let descriptor_bytes = bare.encode_file_descriptor_set();
    let redacted = redacted(&bare.descriptor_pool());
    let root_file = descriptor_set
        .file
        .iter()
        .find(|file| file.name() == root_name);
    let (package, services) = root_file
        .map(|file| {
            let services = services(file, &criticalities, &rules);
            (file.package().to_owned(), services)
        })
        .unwrap_or_default();
    Ok(Proto {
        package,
        root: root_name,
        services,
        descriptor_set,
        descriptor_bytes,
        redacted,
        files: sources.into_files(),
    })
}

/// The full names of all fields with the option `debug_redact`.
fn redacted(pool: &DescriptorPool) -> BTreeSet<String> {
    // Its number in `google.protobuf.FieldOptions`.
    const DEBUG_REDACT: u32 = 16;
    let is_redacted = |field: &FieldDescriptor| {
        let options = field.options();
        let value = options.get_field_by_number(DEBUG_REDACT);
        value.is_some_and(|value| value.as_bool() == Some(true))
    };
    let fields = pool.all_messages().flat_map(|message| {
        let fields: Vec<_> = message.fields().collect();
        fields
    });
    fields
        .filter(is_redacted)
        .map(|field| field.full_name().to_owned())
        .collect()
}

fn services(
    file: &FileDescriptorProto,
    criticalities: &HashMap<String, Criticality>,
    rules: &HashMap<String, Vec<HttpRule>>,
) -> Vec<RpcService> {
    // Numbers of the fields `service` of a file and `method` of a service.
    const SERVICE: i32 = 6;
    const METHOD: i32 = 2;
    let mut services = Vec::new();
    for (service_number, service) in (0..).zip(&file.service) {
        let path = [SERVICE, service_number];
        let full_name = match file.package() {
            "" => service.name().to_owned(),
            package => format!("{package}.{}", service.name()),
        };
        let methods = (0..).zip(&service.method).map(|(method_number, method)| {
            let path = [SERVICE, service_number, METHOD, method_number];
            let named = format!("{full_name}.{}", method.name());
            Method {
                name: method.name().to_owned(),
                input: method.input_type().trim_start_matches('.').to_owned(),
                output: method.output_type().trim_start_matches('.').to_owned(),
                client_streaming: method.client_streaming(),
                server_streaming: method.server_streaming(),
                // 1 is NO_SIDE_EFFECTS, 2 is IDEMPOTENT.
                idempotent: method
                    .options
                    .as_ref()
                    .is_some_and(|options| options.idempotency_level.is_some_and(|l| l > 0)),
                criticality: criticalities.get(&named).copied(),
                http: rules.get(&named).cloned().unwrap_or_default(),
                docs: docs(file, &path),
                position: position(file, &path),
            }
        });
        let methods = methods.collect();
        services.push(RpcService {
            name: service.name().to_owned(),
            full_name,
            docs: docs(file, &path),
            methods,
            position: position(file, &path),
        });
    }
    services
}

/// The lines of the comments above and behind the element at `path`, e.g. for a message of
/// [`Proto::descriptor_set`]; the path is that of `SourceCodeInfo`.
#[must_use]
pub fn docs(file: &FileDescriptorProto, path: &[i32]) -> Vec<String> {
    let location = file
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|place| place.path == path);
    let Some(location) = location else {
        return Vec::new();
    };
    let mut lines: Vec<String> = Vec::new();
    for comment in [location.leading_comments(), location.trailing_comments()] {
        lines.extend(
            comment
                .trim_end()
                .lines()
                .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()),
        );
    }
    lines
}

fn position(file: &FileDescriptorProto, path: &[i32]) -> Position {
    let location = file
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|place| place.path == path);
    match location.map(|place| place.span.as_slice()) {
        Some([line, column, ..]) => Position {
            line: usize::try_from(*line).unwrap_or(0),
            column: usize::try_from(*column).unwrap_or(0),
        },
        _ => Position::default(),
    }
}
