//! Descriptors by what may be asked for: file names, symbols, extensions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// A `FileDescriptorSet` whose files stay as they are: reading them would lose the options that
/// are extensions, such as `google.api.http`.
#[derive(Clone, PartialEq, prost::Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// The descriptors that the services of a door carry.
#[derive(Default)]
pub(super) struct Index {
    files: HashMap<String, File>,
    /// Full names without a leading dot, and the files that declare them.
    symbols: HashMap<String, String>,
    /// For a message the numbers of its extensions, and the files that declare them.
    extensions: HashMap<String, BTreeMap<i32, String>>,
    messages: BTreeSet<String>,
}

struct File {
    encoded: Vec<u8>,
    imports: Vec<String>,
}

impl Index {
    /// Adds an encoded `FileDescriptorSet`. What cannot be read is left out: a service works
    /// without its descriptors, and reflection then does not find it.
    pub(super) fn add(&mut self, set: Bytes) {
        let Ok(set) = Set::decode(set) else {
            tracing::warn!("a service carries descriptors that cannot be read");
            return;
        };
        for encoded in set.file {
            let file = FileDescriptorProto::decode(encoded.as_slice());
            if let Ok(file) = file
                && !self.files.contains_key(file.name())
            {
                self.add_file(&file, encoded);
            }
        }
    }

    /// A file with everything that it imports, itself first.
    pub(super) fn file(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        self.files.get(name)?;
        let (mut wanted, mut found) = (vec![name], Vec::new());
        let mut seen = BTreeSet::from([name]);
        while let Some(name) = wanted.pop() {
            let Some(file) = self.files.get(name) else {
                continue;
            };
            found.push(file.encoded.clone());
            let imports = file.imports.iter().map(String::as_str);
            wanted.extend(imports.filter(|import| seen.insert(*import)));
        }
        Some(found)
    }

    /// The file that declares a symbol.
    pub(super) fn symbol(&self, symbol: &str) -> Option<Vec<Vec<u8>>> {
        self.file(self.symbols.get(symbol.trim_start_matches('.'))?)
    }

    /// The file that declares an extension.
    pub(super) fn extension(&self, of: &str, number: i32) -> Option<Vec<Vec<u8>>> {
        self.file(self.extensions.get(of)?.get(&number)?)
    }

    /// The numbers of the extensions of a message.
    pub(super) fn extensions(&self, of: &str) -> Option<Vec<i32>> {
        self.messages.get(of)?;
        let known = self.extensions.get(of);
        Some(known.map_or_else(Vec::new, |known| known.keys().copied().collect()))
    }

    fn add_file(&mut self, file: &FileDescriptorProto, encoded: Vec<u8>) {
        let (name, package) = (file.name(), file.package());
        for message in &file.message_type {
            self.add_message(name, package, message);
        }
        for item in &file.enum_type {
            self.add_enum(name, package, item);
        }
        for field in &file.extension {
            self.add_extension(name, package, field);
        }
        for service in &file.service {
            let scope = self.add_symbol(name, package, service.name());
            for method in &service.method {
                self.add_symbol(name, &scope, method.name());
            }
        }
        let added = File {
            encoded,
            imports: file.dependency.clone(),
        };
        self.files.insert(name.to_owned(), added);
    }

    fn add_message(&mut self, file: &str, scope: &str, message: &DescriptorProto) {
        let scope = self.add_symbol(file, scope, message.name());
        self.messages.insert(scope.clone());
        for field in &message.field {
            self.add_symbol(file, &scope, field.name());
        }
        for oneof in &message.oneof_decl {
            self.add_symbol(file, &scope, oneof.name());
        }
        for inner in &message.nested_type {
            self.add_message(file, &scope, inner);
        }
        for inner in &message.enum_type {
            self.add_enum(file, &scope, inner);
        }
        for field in &message.extension {
            self.add_extension(file, &scope, field);
        }
    }

    fn add_enum(&mut self, file: &str, scope: &str, item: &EnumDescriptorProto) {
        self.add_symbol(file, scope, item.name());
        // Values stand beside their enum, as in C++.
        for value in &item.value {
            self.add_symbol(file, scope, value.name());
        }
    }

    fn add_extension(&mut self, file: &str, scope: &str, field: &FieldDescriptorProto) {
        self.add_symbol(file, scope, field.name());
        let of = field.extendee().trim_start_matches('.').to_owned();
        self.extensions
            .entry(of)
            .or_default()
            .insert(field.number(), file.to_owned());
    }

    fn add_symbol(&mut self, file: &str, scope: &str, name: &str) -> String {
        let full = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.symbols.insert(full.clone(), file.to_owned());
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: Option<Vec<Vec<u8>>>) -> Vec<String> {
        let name = |bytes: Vec<u8>| {
            let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
            file.name().to_owned()
        };
        files.unwrap_or_default().into_iter().map(name).collect()
    }

    #[test]
    fn every_kind_of_symbol_is_found_in_its_file() {
        let mut index = Index::default();
        index.add(super::super::own());
        for symbol in [
            "grpc.health.v1.Health",
            "grpc.health.v1.Health.Watch",
            ".grpc.health.v1.HealthCheckResponse",
            "grpc.health.v1.HealthCheckResponse.status",
            "grpc.health.v1.HealthCheckResponse.ServingStatus",
            "grpc.health.v1.HealthCheckResponse.NOT_SERVING",
        ] {
            let found = names(index.symbol(symbol));
            assert_eq!(found, ["grpc/health/v1/health.proto"], "{symbol}");
        }
        assert!(index.symbol("grpc.health.v1.Nothing").is_none());
        assert!(index.file("no.proto").is_none());
        let known = index.extensions("grpc.health.v1.HealthCheckRequest");
        assert_eq!(known, Some(Vec::new()));
        assert!(index.extensions("grpc.health.v1.Health").is_none());
    }

    #[test]
    fn a_file_comes_with_its_imports_and_extensions_are_known() {
        let file = |name: &str, imports: &[&str], extends: &[i32]| FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some(name.replace(".proto", "")),
            dependency: imports.iter().map(ToString::to_string).collect(),
            extension: extends
                .iter()
                .map(|number| FieldDescriptorProto {
                    name: Some(format!("field{number}")),
                    number: Some(*number),
                    extendee: Some(".c.M".to_owned()),
                    ..FieldDescriptorProto::default()
                })
                .collect(),
            message_type: vec![DescriptorProto {
                name: Some("M".to_owned()),
                ..DescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let set = Set {
            file: vec![
                file("c.proto", &[], &[]).encode_to_vec(),
                file("b.proto", &["c.proto"], &[7, 5]).encode_to_vec(),
                file("a.proto", &["b.proto", "c.proto", "absent.proto"], &[]).encode_to_vec(),
            ],
        };
        let mut index = Index::default();
        index.add(set.encode_to_vec().into());
        index.add(Bytes::from_static(b"no descriptors"));
        let mut found = names(index.symbol("a.M"));
        assert_eq!(found[0], "a.proto");
        found.sort();
        assert_eq!(found, ["a.proto", "b.proto", "c.proto"]);
        assert_eq!(index.extensions("c.M"), Some(vec![5, 7]));
        assert_eq!(names(index.extension("c.M", 5))[0], "b.proto");
        assert!(index.extension("c.M", 6).is_none());
        assert_eq!(names(index.symbol("b.field7"))[0], "b.proto");
    }
}
