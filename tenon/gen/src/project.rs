//! What the generator reads: `tenon.toml`, the two contracts, and what is on disk already.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tenon_idl::{Diagnostic, LineMap, Span, model::Api, proto::Proto};
use toml::Spanned;

/// A service with its contracts.
#[derive(Debug)]
pub struct Project {
    /// `tenon.toml`.
    pub config: Config,
    /// The REST contract, where the configuration names one.
    pub api: Option<Api>,
    /// The RPC contract, where the configuration names one.
    pub proto: Option<Proto>,
    /// The paths of the files that exist, relative to the folder of `tenon.toml`, with `/`.
    /// Only those under `src/` matter.
    pub existing: BTreeSet<String>,
    /// The text of `src/gen/MANIFEST`, where it exists.
    pub manifest: Option<String>,
    /// Where Tenon itself is, for the `Cargo.toml` of a standalone project: a path, absolute or
    /// relative to the folder of `tenon.toml`.
    pub tenon: String,
}

/// `tenon.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The crate name, `patient`; the contract crate is `patient-contract`.
    pub name: String,
    /// The path of the REST contract, relative to `tenon.toml`.
    pub api: Option<String>,
    /// The path of the RPC contract, relative to `tenon.toml`.
    pub proto: Option<String>,
    /// Folders in which imports of the RPC contract are looked up.
    pub includes: Vec<String>,
    /// Whether a route or method without an access rule is an error.
    pub access_required: bool,
    /// Whether the project is its own workspace, with a `main.rs`.
    pub standalone: bool,
    /// The permission of each RPC method, by the method's name.
    pub permissions: BTreeMap<String, String>,
    file: String,
    lines: LineMap,
    places: BTreeMap<String, Span>,
}

impl Config {
    /// Reads `text`; `file` is its path, for diagnostics.
    ///
    /// # Errors
    /// The text is not TOML, or has unknown keys or values, or a name is no crate name.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let lines = LineMap::new(text);
        let written: Written = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let span = Span::new(span.start, span.end);
            vec![Diagnostic::new(file, &lines, span, error.message())]
        })?;
        let service = written.service;
        let mut findings = Vec::new();
        if !is_crate_name(service.name.get_ref()) {
            let message = format!("`{}` cannot be the name of a crate", service.name.get_ref());
            findings.push(
                Diagnostic::new(file, &lines, span(&service.name), message)
                    .with_hint("use lower-case letters, digits and hyphens, a letter first"),
            );
        }
        if service.api.is_none() && service.proto.is_none() {
            let message = "the service has no contract";
            findings.push(
                Diagnostic::new(file, &lines, span(&service.name), message)
                    .expecting(["api = \"...\"", "proto = \"...\""]),
            );
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let permissions = written.rpc.permission;
        let places = permissions
            .keys()
            .map(|key| (key.get_ref().clone(), span(key)))
            .collect();
        Ok(Self {
            name: service.name.into_inner(),
            api: service.api,
            proto: service.proto,
            includes: service.includes,
            access_required: service.access.is_some(),
            standalone: service.standalone,
            permissions: permissions
                .into_iter()
                .map(|(key, value)| (key.into_inner(), value))
                .collect(),
            file: file.to_owned(),
            lines,
            places,
        })
    }

    /// The text of a new `tenon.toml`, every key explained.
    pub fn text(
        name: &str,
        api: Option<&str>,
        proto: Option<&str>,
        includes: &[String],
        standalone: bool,
    ) -> String {
        let contract = |key: &str, value: Option<&str>, example: &str| match value {
            Some(path) => format!("{key} = {path:?}\n"),
            None => format!("# {key} = \"{example}\"\n"),
        };
        let includes = if includes.is_empty() {
            "# includes = [\"proto\"]\n".to_owned()
        } else {
            format!("includes = {includes:?}\n")
        };
        [
            "# Scaffolded by tenon once; yours to edit. After a change run `tenon gen`.\n\n",
            "[service]\n",
            "# The crate; the contract crate is this with `-contract`.\n",
            &format!("name = {name:?}\n"),
            "# The contracts, relative to this file.\n",
            &contract("api", api, &format!("{name}.api")),
            &contract("proto", proto, &format!("{name}.proto")),
            "# Where imports of the .proto file are looked up.\n",
            &includes,
            "# Makes a route or method without a permission an error.\n",
            "# access = \"required\"\n",
            "# A workspace of its own with a main.rs; false inside a bigger workspace.\n",
            &format!("standalone = {standalone}\n"),
            "\n# Who may call an RPC method: a permission, `internal` (any caller inside the trust\n",
            "# boundary; such a method returns no personal data) or `public`.\n",
            "# [rpc.permission]\n",
            "# getPatientsByTrial = \"subject.read\"\n",
        ]
        .concat()
    }

    /// The contract crate: `patient-contract`.
    pub(crate) fn contract_crate(&self) -> String {
        format!("{}-contract", self.name)
    }

    /// The crate as Rust code names it: `patient_api`.
    pub(crate) fn crate_ident(&self) -> String {
        self.name.replace('-', "_")
    }

    /// A finding at the key of a method's permission.
    pub(crate) fn permission_diagnostic(&self, method: &str, message: String) -> Diagnostic {
        let span = self.places.get(method).copied().unwrap_or_default();
        Diagnostic::new(&self.file, &self.lines, span, message)
    }
}

fn span<T>(value: &Spanned<T>) -> Span {
    Span::new(value.span().start, value.span().end)
}

fn is_crate_name(name: &str) -> bool {
    const RESERVED: [&str; 6] = ["tenon", "core", "std", "alloc", "test", "proc-macro"];
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        && !RESERVED.contains(&name)
        && !crate::names::escaped(name.to_owned()).starts_with("r#")
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: WrittenService,
    #[serde(default)]
    rpc: WrittenRpc,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenService {
    name: Spanned<String>,
    api: Option<String>,
    proto: Option<String>,
    #[serde(default)]
    includes: Vec<String>,
    access: Option<Access>,
    #[serde(default)]
    standalone: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Required,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenRpc {
    #[serde(default)]
    permission: BTreeMap<Spanned<String>, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text, "tenon.toml").map_err(|found| found[0].to_string())
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = read(concat!(
            "[service]\nname = \"patient\"\napi = \"patient.api\"\naccess = \"required\"\n",
            "[rpc.permission]\ngetPatientsByTrial = \"subject.read\"\n"
        ))
        .unwrap();
        assert!(config.access_required && !config.standalone);
        assert_eq!(config.permissions["getPatientsByTrial"], "subject.read");
        let found = config.permission_diagnostic("getPatientsByTrial", "x".to_owned());
        assert_eq!((found.line, found.column), (6, 1));
    }

    #[test]
    fn what_it_writes_it_reads() {
        let text = Config::text("epro", Some("a.api"), None, &["proto".to_owned()], true);
        let config = read(&text).unwrap();
        assert_eq!(config.name, "epro");
        assert_eq!(config.includes, ["proto"]);
        assert!(config.standalone && config.proto.is_none());
    }

    #[test]
    fn faults_are_located() {
        for (text, expected) in [
            (
                "[service]\nname = \"a\"\nstandalon = true\n",
                "tenon.toml:3:1",
            ),
            ("[service]\nname = \"a b\"\napi = \"x\"\n", "tenon.toml:2:8"),
            ("[service]\nname = \"a\"\n", "no contract"),
            (
                "[service]\nname = \"a\"\napi=\"x\"\naccess = \"no\"\n",
                "tenon.toml:4:10",
            ),
            (
                "[service]\nname = \"tenon\"\napi=\"x\"\n",
                "cannot be the name",
            ),
            (
                "[service]\nname = \"type\"\napi=\"x\"\n",
                "cannot be the name",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
