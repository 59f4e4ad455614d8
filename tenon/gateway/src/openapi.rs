//! One OpenAPI document of several services.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value, json};

/// Merges the documents of services, by their names, into one with the title and version given.
///
/// Components that are the same in several documents are kept once; those of the same name and
/// another content get the name of their service in front. An operation without a tag gets the
/// name of its service as its tag. Servers and document-wide security of the parts are not taken
/// over as such: security moves into each operation.
///
/// # Errors
/// A document that is no OpenAPI 3 document, versions that differ, or a path and method that two
/// documents have.
pub fn merge(title: &str, version: &str, documents: &[(&str, Value)]) -> Result<Value, MergeError> {
    let mut merged = Merged::default();
    for (service, document) in documents {
        merged.add(service, document.clone())?;
    }
    Ok(merged.finish(title, version))
}

/// Documents that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeError {
    service: String,
    problem: String,
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the OpenAPI document of {}: {}",
            self.service, self.problem
        )
    }
}

impl std::error::Error for MergeError {}

/// The keys of a path that hold operations; the others hold for all of them.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

#[derive(Default)]
struct Merged {
    openapi: Option<String>,
    paths: Map<String, Value>,
    /// Kind, name, content.
    components: BTreeMap<String, Map<String, Value>>,
    operations: BTreeSet<String>,
    tags: BTreeMap<String, Value>,
}

/// Which components of a document have got another name: (kind, old name) to new name.
type Renamed = BTreeMap<(String, String), String>;

impl Merged {
    fn add(&mut self, service: &str, document: Value) -> Result<(), MergeError> {
        let refuse = |problem: String| MergeError {
            service: service.to_owned(),
            problem,
        };
        let Value::Object(mut document) = document else {
            return Err(refuse("it is no JSON object".into()));
        };
        let version = document
            .get("openapi")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !version.starts_with("3.") {
            return Err(refuse("it has no `openapi: 3.x`".into()));
        }
        match &self.openapi {
            None => self.openapi = Some(version.to_owned()),
            Some(first) if first == version => {}
            Some(first) => {
                return Err(refuse(format!(
                    "it is of version {version}, those before of {first}"
                )));
            }
        }
        let renamed = self.add_components(service, take(&mut document, "components"));
        let security = document.remove("security");
        for tag in document
            .get("tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(name) = tag.get("name").and_then(Value::as_str) {
                self.tags
                    .entry(name.to_owned())
                    .or_insert_with(|| tag.clone());
            }
        }
        for (path, mut item) in take(&mut document, "paths") {
            rename(&mut item, &renamed);
            if let Some(item) = item.as_object_mut() {
                self.own(service, item, security.as_ref(), &renamed);
            }
            self.add_path(path, item).map_err(refuse)?;
        }
        Ok(())
    }

    /// Takes the components over and says which had to be renamed.
    fn add_components(&mut self, service: &str, components: Map<String, Value>) -> Renamed {
        let mut renamed = Renamed::new();
        for (kind, entries) in &components {
            for (name, content) in entries.as_object().into_iter().flatten() {
                let taken = self.components.get(kind).and_then(|all| all.get(name));
                if taken.is_some_and(|other| other != content) {
                    let new = self.free_name(service, kind, name);
                    renamed.insert((kind.clone(), name.clone()), new);
                }
            }
        }
        for (kind, entries) in components {
            let Value::Object(entries) = entries else {
                continue;
            };
            for (name, mut content) in entries {
                rename(&mut content, &renamed);
                let name = renamed
                    .get(&(kind.clone(), name.clone()))
                    .cloned()
                    .unwrap_or(name);
                self.components
                    .entry(kind.clone())
                    .or_default()
                    .insert(name, content);
            }
        }
        renamed
    }

    fn free_name(&self, service: &str, kind: &str, name: &str) -> String {
        let taken = |name: &str| {
            let all = self.components.get(kind);
            all.is_some_and(|all| all.contains_key(name))
        };
        let mut new = format!("{service}.{name}");
        while taken(&new) {
            new.push('_');
        }
        new
    }

    /// Makes the operations of a path independent of the document that they come from.
    fn own(
        &mut self,
        service: &str,
        item: &mut Map<String, Value>,
        security: Option<&Value>,
        renamed: &Renamed,
    ) {
        for method in METHODS {
            let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) else {
                continue;
            };
            if let (None, Some(security)) = (operation.get("security"), security) {
                operation.insert("security".into(), security.clone());
            }
            if let Some(security) = operation.get_mut("security") {
                rename_schemes(security, renamed);
            }
            let untagged = operation
                .get("tags")
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty);
            if untagged {
                operation.insert("tags".into(), json!([service]));
            }
            if let Some(Value::String(id)) = operation.get_mut("operationId")
                && !self.operations.insert(id.clone())
            {
                *id = format!("{service}.{id}");
                self.operations.insert(id.clone());
            }
        }
    }

    fn add_path(&mut self, path: String, item: Value) -> Result<(), String> {
        let Value::Object(item) = item else {
            return Err(format!("the path {path} is no object"));
        };
        let there = self
            .paths
            .entry(path.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        let Some(there) = there.as_object_mut() else {
            return Ok(());
        };
        for (key, value) in item {
            match there.get(&key) {
                None => {
                    there.insert(key, value);
                }
                Some(other) if *other == value && !METHODS.contains(&key.as_str()) => {}
                Some(_) => {
                    return Err(format!("{key} {path} is in another document as well"));
                }
            }
        }
        Ok(())
    }

    fn finish(self, title: &str, version: &str) -> Value {
        let mut whole = json!({
            "openapi": self.openapi.unwrap_or_else(|| "3.1.0".to_owned()),
            "info": {"title": title, "version": version},
            "paths": self.paths,
        });
        if !self.components.is_empty() {
            whole["components"] = json!(self.components);
        }
        if !self.tags.is_empty() {
            whole["tags"] = self.tags.into_values().collect();
        }
        whole
    }
}

fn take(document: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match document.remove(key) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Points references to renamed components at their new names.
fn rename(value: &mut Value, renamed: &Renamed) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => redirect(target, renamed),
                    Value::Object(targets) if key == "mapping" => {
                        for target in targets.values_mut() {
                            match target {
                                Value::String(target) => redirect(target, renamed),
                                // A property that happens to be called `mapping`.
                                other => rename(other, renamed),
                            }
                        }
                    }
                    other => rename(other, renamed),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, renamed)),
        _ => {}
    }
}

fn redirect(target: &mut String, renamed: &Renamed) {
    let place = target
        .strip_prefix("#/components/")
        .and_then(|place| place.split_once('/'));
    let Some((kind, name)) = place else { return };
    // A reference may go on below the component.
    let (name, below) = name.split_at(name.find('/').unwrap_or(name.len()));
    if let Some(new) = renamed.get(&(kind.to_owned(), name.to_owned())) {
        *target = format!("#/components/{kind}/{new}{below}");
    }
}

/// Security requirements name their schemes as keys.
fn rename_schemes(security: &mut Value, renamed: &Renamed) {
    for requirement in security.as_array_mut().into_iter().flatten() {
        let Some(requirement) = requirement.as_object_mut() else {
            continue;
        };
        *requirement = std::mem::take(requirement)
            .into_iter()
            .map(|(name, scopes)| {
                let key = ("securitySchemes".to_owned(), name);
                let name = renamed.get(&key).cloned().unwrap_or(key.1);
                (name, scopes)
            })
            .collect();
    }
}
