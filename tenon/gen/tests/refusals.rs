//! What the generator refuses, with the place and what to do: nothing is ever open, or missing,
//! by omission.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::collections::BTreeSet;

use tenon_gen::{Config, Output, Project, generate};
use tenon_idl::{MemoryLoader, api, proto};

const HEAD: &str = "[service]\nname = \"a\"\n";

/// What is generated, or the findings, a line each.
fn run(toml: &str, api_text: &str, proto_text: &str) -> Result<Output, String> {
    let loader = MemoryLoader::new()
        .with("a.api", api_text)
        .with("a.proto", proto_text);
    let config = Config::parse(toml, "tenon.toml").unwrap();
    let project = Project {
        api: config
            .api
            .as_ref()
            .map(|path| api::load(&loader, path).unwrap()),
        proto: config
            .proto
            .as_ref()
            .map(|path| proto::load(&loader, path, &[]).unwrap()),
        config,
        existing: BTreeSet::new(),
        manifest: None,
        tenon: "tenon".to_owned(),
    };
    generate(&project).map_err(|found| found.iter().map(|found| format!("{found}\n")).collect())
}

fn api_findings(extra: &str, text: &str) -> String {
    run(&format!("{HEAD}api = \"a.api\"\n{extra}"), text, "").unwrap_err()
}

#[test]
fn security_that_is_not_built_is_never_an_open_route() {
    let text = "@server(\n    signature: true\n)\nservice a {\n    @handler x\n    get /x\n}\n";
    let found = api_findings("", text);
    assert!(
        found.starts_with("a.api:2:16: `signature` of `@server` is not built"),
        "{found}"
    );
    let text = "@server(\n    jwt: Auth\n    permission: public\n)\nservice a {\n    @handler x\n    get /x\n}\n";
    assert!(api_findings("", text).contains("`permission: public` opens"));
    let text = "@server(\n    jwt: Auth\n)\nservice a {\n    @handler x\n    get /x\n}\n@server(\n    jwt: Admin\n)\nservice a {\n    @handler y\n    get /y\n}\n";
    assert!(api_findings("", text).contains("second source of tokens"));
}

#[test]
fn every_route_and_method_needs_a_rule_where_access_is_required() {
    let text = "@server(\n    jwt: Auth\n)\nservice a {\n    @handler x\n    get /x\n    @handler y\n    get /y\n}\n";
    let found = api_findings("access = \"required\"\n", text);
    assert!(
        found.contains("a.api:5:14: route `x` has no access rule"),
        "{found}"
    );
    assert!(
        found.contains("a.api:7:14: route `y` has no access rule"),
        "{found}"
    );
    let proto = "syntax = \"proto3\";\nmessage M {}\nservice S {\n  rpc one(M) returns (M);\n  rpc two(M) returns (M);\n}\n";
    let toml = format!(
        "{HEAD}proto = \"a.proto\"\naccess = \"required\"\n[rpc.permission]\none = \"internal\"\n"
    );
    let found = run(&toml, "", proto).unwrap_err();
    assert!(
        found.contains("a.proto:5:3: method `two` has no access rule"),
        "{found}"
    );
    assert!(!found.contains("`one`"), "{found}");
}

#[test]
fn a_redacted_message_has_no_default_values_and_no_groups() {
    let found = |field: &str| {
        let proto = format!(
            "syntax = \"proto2\";\nmessage M {{\n  optional string name = 1 [debug_redact = true];\n  \
             {field}\n}}\nservice S {{\n  rpc one(M) returns (M);\n}}\n"
        );
        run(&format!("{HEAD}proto = \"a.proto\"\n"), "", &proto).map(drop)
    };
    let problem = found("optional int32 size = 2 [default = 7];").unwrap_err();
    let expected = "the message `M`: the field `size` has a default value";
    assert!(problem.contains(expected), "{problem}");
    let problem = found("repeated group Part = 2 { optional int32 size = 3; }").unwrap_err();
    let expected = "the message `M`: the field `part` is a group";
    assert!(problem.contains(expected), "{problem}");
    assert_eq!(found("required int32 size = 2;"), Ok(()));
}

#[test]
fn what_is_personal_in_one_contract_only_is_converted_by_hand() {
    let by_hand = |tag: &str, option: &str| {
        let api = format!(
            "type M {{\n    Name string `json:\"name{tag}\"`\n}}\nservice a {{\n    \
             @handler one\n    post /one (M)\n}}\n"
        );
        let proto = format!(
            "syntax = \"proto3\";\nmessage M {{\n  string name = 1{option};\n}}\n\
             message E {{}}\nservice S {{\n  rpc one(M) returns (E);\n}}\n"
        );
        let toml = format!("{HEAD}api = \"a.api\"\nproto = \"a.proto\"\n");
        let output = run(&toml, &api, &proto).unwrap();
        let mut files = output.files.iter();
        let logic = files.find(|file| file.path == "src/logic/one.rs").unwrap();
        logic.text.contains("request_from_rpc")
    };
    let redact = " [debug_redact = true]";
    assert!(!by_hand("", "") && !by_hand(",personal", redact));
    assert!(by_hand(",personal", "") && by_hand("", redact));
}

#[test]
fn a_permission_of_an_unknown_method_names_the_nearest() {
    let proto =
        "syntax = \"proto3\";\nmessage M {}\nservice S {\n  rpc getPatients(M) returns (M);\n}\n";
    let toml = format!("{HEAD}proto = \"a.proto\"\n[rpc.permission]\ngetPatient = \"x\"\n");
    let found = run(&toml, "", proto).unwrap_err();
    assert_eq!(
        found,
        "tenon.toml:5:1: no method of the RPC contract is called `getPatient`; \
         hint: the nearest is `getPatients`\n"
    );
}

#[test]
fn an_operation_of_both_contracts_streams_in_both_or_in_none() {
    let method = |call: &str| {
        format!("syntax = \"proto3\";\nmessage M {{}}\nservice S {{\n  rpc {call};\n}}\n")
    };
    let route = |sse: &str| {
        format!(
            "@server({sse})\nservice a {{\n    @handler watch\n    get /x returns (string)\n}}\n"
        )
    };
    let toml = format!("{HEAD}api = \"a.api\"\nproto = \"a.proto\"\n");
    for (call, sse, alike) in [
        ("watch(M) returns (stream M)", "sse: true", true),
        ("watch(M) returns (M)", "sse: false", true),
        ("watch(M) returns (stream M)", "", false),
        ("watch(M) returns (M)", "sse: true", false),
        ("watch(stream M) returns (stream M)", "sse: true", false),
    ] {
        let found = run(&toml, &route(sse), &method(call));
        match alike {
            true => assert!(found.is_ok(), "{call} {sse}: {:?}", found.err()),
            false => {
                let found = found.err().unwrap();
                let expected = "a.proto:4:3: method `watch` and route `watch` are one operation";
                assert!(found.contains(expected), "{call} {sse}: {found}");
            }
        }
    }
}

#[test]
fn lengths_that_could_not_be_checked_are_refused() {
    let text = "type T {\n    M [][2]int `json:\"m\"`\n}\n";
    let found = api_findings("", text);
    assert!(
        found.starts_with("a.api:2:5: `[2]int64` inside a list or map"),
        "{found}"
    );
}

#[test]
fn presence_rules_stay_in_one_place() {
    let text = "type T {\n    A string `json:\"a,optional=b\"`\n    B string `form:\"b,optional\"`\n}\nservice a {\n    @handler x\n    post /x (T)\n}\n";
    // The contract's own check may find it first; either way it is no silent rule.
    let loader = MemoryLoader::new().with("a.api", text);
    if api::load(&loader, "a.api").is_ok() {
        assert!(api_findings("", text).contains("`optional=b` names no json field"));
    }
}

#[test]
fn keys_without_effect_are_told() {
    let text = "@server(\n    authType: apiKey\n)\nservice a {\n    @handler x\n    get /x\n}\n";
    let output = run(&format!("{HEAD}api = \"a.api\"\n"), text, "").unwrap();
    let told: Vec<String> = output.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["a.api:2:15: key `authType` of `@server` has no effect"]
    );
}

#[test]
fn operations_that_are_gone_are_orphans() {
    let loader = MemoryLoader::new().with(
        "a.api",
        "@server(\n    group: b\n)\nservice a {\n    @handler kept\n    get /x\n}\nservice a {\n    @handler other\n    get /y\n}\n",
    );
    let existing = [
        "src/logic/gone.rs",
        "src/logic/kept.rs",
        "src/logic/other.rs",
        "src/logic/old_list.rs",
        "src/middleware/audit.rs",
        "src/store.rs",
        "src/logic/notes.txt",
    ];
    let project = Project {
        config: Config::parse(&format!("{HEAD}api = \"a.api\"\n"), "tenon.toml").unwrap(),
        api: Some(api::load(&loader, "a.api").unwrap()),
        proto: None,
        existing: existing.iter().map(|path| (*path).to_owned()).collect(),
        manifest: Some("src/logic/old_list.rs\n".to_owned()),
        tenon: "tenon".to_owned(),
    };
    let orphans = generate(&project).unwrap().orphans;
    let told: Vec<(&str, Option<&str>)> = orphans
        .iter()
        .map(|orphan| (orphan.path.as_str(), orphan.moved_to.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("src/logic/gone.rs", None),
            ("src/logic/kept.rs", Some("src/logic/b/kept.rs")),
            ("src/middleware/audit.rs", None),
        ]
    );
}

#[test]
fn the_configuration_that_is_written_is_read() {
    #[derive(tenon::serde::Deserialize)]
    #[serde(crate = "tenon::serde", deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether the keys are known matters")]
    struct Written {
        name: String,
        rest: tenon::config::RestConfig,
        rpc: tenon::config::RpcConfig,
        admin: tenon::config::AdminConfig,
        #[serde(default)]
        auth: tenon::config::AuthConfig,
        #[serde(default)]
        clients: tenon::config::ClientsConfig,
        #[serde(default)]
        store: tenon::config::StoreConfig,
        #[serde(default)]
        registration: Option<tenon::config::RegistrationConfig>,
        log: tenon::config::LogConfig,
        traces: tenon::config::TracesConfig,
    }
    let text = "service a {\n    @handler x\n    get /x\n}\n";
    let output = run(&format!("{HEAD}api = \"a.api\"\n"), text, "").unwrap();
    let yaml = &output
        .files
        .iter()
        .find(|file| file.path == "etc/a.yaml")
        .unwrap()
        .text;
    let path = std::path::Path::new("etc/a.yaml");
    let plain: Written = tenon::config::parse(yaml, path).unwrap();
    let defaults = tenon::config::RestConfig::default();
    assert_eq!(plain.rest.listen, defaults.listen);
    assert_eq!(plain.rest.max_bytes, defaults.max_bytes);
    assert_eq!(
        plain.rpc.max_bytes,
        tenon::config::RpcConfig::default().max_bytes
    );
    // With the comment signs of its examples taken away it is still a configuration.
    let examples: String = yaml
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if is_example(rest) => {
                let indent = line.len() - line.trim_start().len();
                format!("{}{rest}\n", " ".repeat(indent))
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let all: Written = tenon::config::parse(&examples, path).unwrap();
    assert_eq!(all.clients["trial"].endpoints, ["127.0.0.1:9102"]);
    assert!(all.admin.auth.is_some() && all.auth.access_secret.is_some());
    assert_eq!(all.store.batch_max, plain.store.batch_max);
}

/// Whether a comment is a key that is commented out.
fn is_example(comment: &str) -> bool {
    let key = comment.trim_start().trim_start_matches("- ");
    key.starts_with("# ")
        || key
            .split_once(':')
            .is_some_and(|(key, _)| !key.is_empty() && key.chars().all(char::is_alphanumeric))
}

#[test]
fn a_rule_of_http_that_fits_no_path_or_field_is_refused_with_its_line() {
    let found = |rule: &str| {
        let text = format!(
            "syntax = \"proto3\";\npackage a.v1;\nimport \"google/api/annotations.proto\";\nmessage M {{ string name = 1; M part = 2; }}\nservice S {{\n  rpc Get(M) returns (M) {{\n    option (google.api.http) = {{ {rule} }};\n  }}\n}}\n"
        );
        run(&format!("{HEAD}proto = \"a.proto\"\n"), "", &text)
    };
    for (rule, expected) in [
        (
            "get: \"v1\"",
            "`v1` is no path template: a path starts with a slash",
        ),
        (
            "get: \"/v1/{nam}\"",
            "a.v1.M has no field `nam`, which the path names",
        ),
        ("get: \"/v1/{part.x}\"", "no field `part.x`"),
        (
            "post: \"/v1\" body: \"bod\"",
            "no field `bod`, which the body names",
        ),
        (
            "get: \"/v1\" response_body: \"x\"",
            "no field `x`, which the response_body names",
        ),
        (
            "get: \"/v1\" additional_bindings { get: \"/v1/{\" }",
            "`/v1/{` is no path template",
        ),
    ] {
        let found = found(rule).unwrap_err();
        assert!(
            found.starts_with("a.proto:6:3: `google.api.http` of method `Get`: "),
            "{found}"
        );
        assert!(found.contains(expected), "{rule}: {found}");
    }
    assert!(found("get: \"/v1/{part.name=a/*}:do\" response_body: \"part\"").is_ok());
}
