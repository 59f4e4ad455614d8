//! Loaders, include folders and the places that the model keeps.

use std::cell::RefCell;

use tenon_idl::model::{Segment, Source};
use tenon_idl::{LoadError, MemoryLoader, SourceLoader, api, proto};

/// Counts what is asked for.
struct Counting {
    inner: MemoryLoader,
    asked: RefCell<Vec<String>>,
}

impl SourceLoader for Counting {
    fn load(&self, path: &str) -> Result<String, LoadError> {
        self.asked.borrow_mut().push(path.to_owned());
        match path {
            "dir/binary.api" | "dir/binary.proto" => Err(LoadError::NotUtf8),
            "dir/locked.api" => Err(LoadError::Unreadable("permission denied".to_owned())),
            path => self.inner.load(path),
        }
    }
}

fn counting(inner: MemoryLoader) -> Counting {
    Counting {
        inner,
        asked: RefCell::new(Vec::new()),
    }
}

#[test]
fn a_diamond_is_read_once() {
    let loader = counting(
        MemoryLoader::new()
            .with(
                "dir/root.api",
                "import \"a.api\"\nimport \"./b.api\"\ntype R { A A }",
            )
            .with("dir/a.api", "import \"../base.api\"\ntype A { Base }")
            .with("dir/b.api", "import \"../base.api\"\ntype B { Base }")
            .with("base.api", "type Base {}"),
    );
    let contract = api::load(&loader, "./dir/x/../root.api").unwrap();
    assert_eq!(
        *loader.asked.borrow(),
        ["dir/root.api", "dir/a.api", "base.api", "dir/b.api"]
    );
    let paths: Vec<&str> = contract
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["dir/root.api", "dir/a.api", "base.api", "dir/b.api"]
    );
}

#[test]
fn unreadable_files_are_findings_at_the_import() {
    let loader = counting(MemoryLoader::new().with(
        "dir/root.api",
        "import \"binary.api\"\nimport \"locked.api\"\ntype A {}",
    ));
    let findings: Vec<String> = api::load(&loader, "dir/root.api")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        [
            "dir/root.api:1:8: cannot read `dir/binary.api`: the file is not UTF-8 text; hint: the path is relative to the importing file",
            "dir/root.api:2:8: cannot read `dir/locked.api`: permission denied; hint: the path is relative to the importing file",
        ]
    );
    let missing = api::load(&loader, "none.api").unwrap_err();
    assert_eq!(
        missing[0].to_string(),
        "none.api:1:1: cannot read `none.api`: there is no such file"
    );
}

#[test]
fn the_model_points_into_the_right_file() {
    let loader = MemoryLoader::new()
        .with(
            "root.api",
            "import \"types.api\"\nservice x-api {\n  @handler get\n  get /a/:id (Req)\n}",
        )
        .with(
            "types.api",
            "// 类型\ntype Req {\n  /* 标识 */ Id int `path:\"id\"`\n}",
        );
    let contract = api::load(&loader, "root.api").unwrap();
    let request = contract.type_named("Req").unwrap();
    let field = request.fields_from(Source::Path).next().unwrap();
    assert_eq!(
        contract.diagnostic(field.place, "no").to_string(),
        "types.api:3:12: no"
    );
    let (_, route) = contract.service.as_ref().unwrap().routes().next().unwrap();
    assert_eq!(
        contract.diagnostic(route.place, "no").to_string(),
        "root.api:4:3: no"
    );
    assert_eq!(
        contract.diagnostic(route.handler_place, "no").to_string(),
        "root.api:3:12: no"
    );
    assert_eq!(
        route.segments,
        [
            Segment::Literal("a".to_owned()),
            Segment::Parameter("id".to_owned())
        ]
    );
    assert_eq!(route.parameters().collect::<Vec<_>>(), ["id"]);
}

const MESSAGE: &str = "syntax = \"proto3\"; package m; message M {}";

#[test]
fn proto_imports_follow_the_include_folders_in_order() {
    let root = "syntax = \"proto3\";\nimport \"m/m.proto\";\n\nservice S {\n  rpc get(m.M) returns (m.M);\n}\n";
    let loader = counting(
        MemoryLoader::new()
            .with("api/patient.proto", root)
            .with("second/m/m.proto", MESSAGE)
            .with("third/m/m.proto", "broken"),
    );
    let contract =
        proto::load(&loader, "api/patient.proto", &["first", "second/", "third"]).unwrap();
    assert_eq!(contract.root, "patient.proto");
    assert_eq!(contract.services[0].methods[0].input, "m.M");
    let paths: Vec<&str> = contract
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["api/patient.proto", "second/m/m.proto"]);
    let method = &contract.services[0].methods[0];
    assert_eq!(
        contract.diagnostic(method.position, "no").to_string(),
        "api/patient.proto:5:3: no"
    );

    // Below an include folder the root is named from there.
    let contract = proto::load(&loader, "api/patient.proto", &["", "second"]).unwrap();
    assert_eq!(contract.root, "api/patient.proto");
    assert!(contract.root_file().is_some());
}

#[test]
fn proto_findings_carry_the_path_of_the_loader() {
    let loader = counting(
        MemoryLoader::new()
            .with("api/a.proto", "syntax = \"proto3\";\nimport \"b.proto\";\n")
            .with(
                "inc/b.proto",
                "syntax = \"proto3\";\nmessage B {\n  Gone x = 1;\n}\n",
            ),
    );
    let findings = proto::load(&loader, "api/a.proto", &["inc"]).unwrap_err();
    assert_eq!(
        findings[0].to_string(),
        "inc/b.proto:3:3: name `Gone` is not defined"
    );
    let findings = proto::load(&loader, "none.proto", &[]).unwrap_err();
    assert_eq!(
        findings[0].to_string(),
        "none.proto:1:1: cannot read `none.proto`: there is no such file"
    );
    let loader = counting(MemoryLoader::new().with("dir/a.proto", "import \"binary.proto\";"));
    let findings = proto::load(&loader, "dir/a.proto", &[]).unwrap_err();
    assert!(findings[0].message.contains("not UTF-8"), "{findings:?}");
}

#[test]
fn comments_of_messages_can_be_read() {
    let text = "syntax = \"proto3\";\n// A message.\nmessage M {\n  string a = 1; // 字段\n}\n";
    let contract = proto::load(&MemoryLoader::new().with("m.proto", text), "m.proto", &[]).unwrap();
    let file = contract.root_file().unwrap();
    assert_eq!(proto::docs(file, &[4, 0]), ["A message."]);
    assert_eq!(proto::docs(file, &[4, 0, 2, 0]), ["字段"]);
    assert!(proto::docs(file, &[4, 7]).is_empty());
}

#[test]
fn the_body_that_is_no_json_is_built_in() {
    let text = "syntax = \"proto3\";\nimport \"google/api/httpbody.proto\";\n\
        message M {}\nservice S { rpc Get(M) returns (google.api.HttpBody); }";
    let loader = MemoryLoader::new().with("s.proto", text);
    let contract = proto::load(&loader, "s.proto", &[]).unwrap();
    let files = contract.descriptor_set.file.iter();
    let names: Vec<&str> = files.map(|file| file.name()).collect();
    assert!(names.contains(&"google/api/httpbody.proto"), "{names:?}");
    assert!(!proto::is_of_options("google/api/httpbody.proto"));
}

#[test]
fn the_bytes_of_a_contract_keep_its_http_rules_and_leave_its_comments() {
    let text = "// Seldom seen.\nsyntax = \"proto3\";\nimport \"google/api/annotations.proto\";\n\
        message M { string name = 1; }\n\
        service S { rpc Get(M) returns (M) { option (google.api.http) = { get: \"/v1/{name=m/*}\" }; } }";
    let loader = MemoryLoader::new().with("s.proto", text);
    let contract = proto::load(&loader, "s.proto", &[]).unwrap();
    let holds = |part: &[u8]| {
        let mut windows = contract.descriptor_bytes.windows(part.len());
        windows.any(|window| window == part)
    };
    assert!(holds(b"/v1/{name=m/*}"));
    assert!(!holds(b"Seldom seen"));
}
