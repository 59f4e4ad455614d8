//! The contract of the tests, compiled as a user would.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor};

/// `shelf.proto` with its imports, as a `FileDescriptorSet`.
pub(crate) fn descriptors() -> Vec<u8> {
    compile("shelf.proto", None)
}

/// The same contract with other text in it.
#[allow(dead_code, reason = "not every test binary changes the contract")]
pub(crate) fn changed(old: &str, new: &str) -> Vec<u8> {
    compile("shelf.proto", Some((old, new)))
}

fn compile(file: &str, change: Option<(&str, &str)>) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shelf");
    let place = tempfile::tempdir().unwrap();
    let mut folders = vec![std::path::PathBuf::from(folder)];
    if let Some((old, new)) = change {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        assert!(text.contains(old), "{old} is not in {file}");
        std::fs::write(place.path().join(file), text.replace(old, new)).unwrap();
        folders.insert(0, place.path().to_owned());
    }
    let mut compiler = protox::Compiler::new(folders).unwrap();
    compiler
        .include_imports(true)
        .open_file(file)
        .unwrap()
        .encode_file_descriptor_set()
}

/// A method of the contract.
#[allow(dead_code, reason = "not every test binary looks at one method")]
pub(crate) fn method(name: &str) -> MethodDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(descriptors().as_slice()).unwrap());
    let service = POOL.get_service_by_name("shelf.v1.ShelfService").unwrap();
    let found = service.methods().find(|method| method.name() == name);
    found.unwrap()
}
