//! What is generated: the operations of both contracts, where their logic stands, and which
//! types are read or written.

use std::collections::{BTreeMap, BTreeSet};

use tenon_idl::{
    model::{Api, Body, Group, Route, Source, Struct, Type},
    proto::{Method, Proto, RpcService},
};

use crate::{
    Project,
    names::{TypeNames, bare_snake, camel, claim, escaped, same, shouty, snake},
};

/// Everything that the writers need to know, worked out once.
pub(crate) struct Plan<'a> {
    pub(crate) project: &'a Project,
    /// The Rust names of the REST contract's types.
    pub(crate) types: TypeNames,
    /// The trait of the REST contract, `PatientApi`.
    pub(crate) api_trait: String,
    /// The operations: routes in the order of the contract, then methods that are no route.
    pub(crate) operations: Vec<Operation<'a>>,
    /// The services of the RPC contract.
    pub(crate) services: Vec<RpcNames<'a>>,
    /// Types of the REST contract that a request body is read into.
    pub(crate) read: BTreeSet<&'a str>,
}

/// One operation: what a developer writes one function for.
pub(crate) struct Operation<'a> {
    pub(crate) rest: Option<RestOperation<'a>>,
    pub(crate) rpc: Option<RpcOperation<'a>>,
    /// The modules below `logic`, as files are called: `["patient", "get_patient"]`.
    pub(crate) path: Vec<String>,
}

impl Operation<'_> {
    /// The logic function, and the last module: `get_patient`.
    pub(crate) fn function(&self) -> String {
        escaped(self.path.last().cloned().unwrap_or_default())
    }

    /// `src/logic/patient/get_patient.rs`.
    pub(crate) fn file(&self) -> String {
        format!("src/logic/{}.rs", self.path.join("/"))
    }

    /// `logic::patient::get_patient`.
    pub(crate) fn module(&self) -> String {
        let path: Vec<String> = self.path.iter().cloned().map(escaped).collect();
        format!("logic::{}", path.join("::"))
    }
}

/// A route as an operation.
#[derive(Clone, Copy)]
pub(crate) struct RestOperation<'a> {
    pub(crate) group: &'a Group,
    pub(crate) route: &'a Route,
    /// Index into the names of [`RestNames`].
    names: usize,
}

/// A method as an operation.
#[derive(Clone, Copy)]
pub(crate) struct RpcOperation<'a> {
    pub(crate) service: usize,
    pub(crate) method: &'a Method,
    /// Index into [`RpcNames::methods`].
    pub(crate) index: usize,
}

/// The Rust names of one service of the RPC contract.
pub(crate) struct RpcNames<'a> {
    pub(crate) service: &'a RpcService,
    /// `PatientService`.
    pub(crate) service_trait: String,
    /// `PatientClient`.
    pub(crate) client: String,
    /// `serve`, or `serve_patient_service` where there are several.
    pub(crate) serve: String,
    /// For each method the function and the static.
    pub(crate) methods: Vec<(String, String)>,
}

impl<'a> Plan<'a> {
    /// Works out the names. Contracts with findings of [`crate::check`] are never planned.
    pub(crate) fn new(project: &'a Project) -> Self {
        let api = project.api.as_ref();
        let mut types = api.map(TypeNames::new).unwrap_or_default();
        let base = api
            .and_then(|api| api.service.as_ref())
            .map_or(project.config.name.as_str(), |service| &service.crate_name);
        let api_trait = types.claim(&format!("{}Api", camel(base)));
        let services = rpc_names(project.proto.as_ref());
        let mut plan = Self {
            project,
            types,
            api_trait,
            operations: Vec::new(),
            services,
            read: api.map(read_types).unwrap_or_default(),
        };
        plan.operations = plan.collect_operations();
        plan
    }

    /// The operations with a route.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&Operation<'a>, RestOperation<'a>)> {
        self.operations
            .iter()
            .filter_map(|operation| Some((operation, operation.rest?)))
    }

    /// The operations of one service of the RPC contract, in the order of its methods.
    pub(crate) fn methods(&self, service: usize) -> Vec<(&Operation<'a>, RpcOperation<'a>)> {
        let mut methods: Vec<_> = self
            .operations
            .iter()
            .filter_map(|operation| Some((operation, operation.rpc?)))
            .filter(|(_, rpc)| rpc.service == service)
            .collect();
        methods.sort_by_key(|(_, rpc)| rpc.index);
        methods
    }

    /// The function of a route in the trait, and its static.
    pub(crate) fn rest_names(&self, rest: RestOperation<'a>) -> (String, String) {
        let names = rest_names(self.project.api.as_ref());
        names.get(rest.names).cloned().unwrap_or_default()
    }

    /// The middleware that the contract names, in order of first use.
    pub(crate) fn middleware(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        let service = self
            .project
            .api
            .as_ref()
            .and_then(|api| api.service.as_ref());
        for name in service
            .iter()
            .flat_map(|service| &service.groups)
            .flat_map(|g| &g.middleware)
        {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The contracts by their file names, as headers name them.
    pub(crate) fn sources(&self) -> String {
        let config = &self.project.config;
        [config.api.as_deref(), config.proto.as_deref()]
            .into_iter()
            .flatten()
            .map(file_name)
            .collect::<Vec<_>>()
            .join(" and ")
    }

    fn collect_operations(&self) -> Vec<Operation<'a>> {
        let mut operations = Vec::new();
        let mut methods: Vec<RpcOperation<'a>> = Vec::new();
        for (service, names) in self.services.iter().enumerate() {
            for (index, method) in names.service.methods.iter().enumerate() {
                methods.push(RpcOperation {
                    service,
                    method,
                    index,
                });
            }
        }
        let routes: Vec<(&Group, &Route)> = self.all_routes().collect();
        let groups: BTreeSet<_> = routes.iter().map(|(group, _)| &group.group).collect();
        let nested = groups.len() > 1;
        let mut taken = folders(&groups, nested);
        for (index, (group, route)) in routes.iter().enumerate() {
            let alike = |name: &str| same(name, &route.handler);
            let only = routes
                .iter()
                .filter(|(_, other)| alike(&other.handler))
                .count()
                == 1;
            let found = methods
                .iter()
                .position(|rpc| only && alike(&rpc.method.name));
            let mut path = match &group.group {
                Some(name) if nested => name.split('/').map(bare_snake).collect(),
                _ => Vec::new(),
            };
            path.push(bare_snake(&route.handler));
            operations.push(Operation {
                rest: Some(RestOperation {
                    group,
                    route,
                    names: index,
                }),
                rpc: found.map(|found| methods.remove(found)),
                path: claim_path(&mut taken, path),
            });
        }
        for rpc in methods {
            let mut path = Vec::new();
            if self.services.len() > 1 {
                path.push(bare_snake(&self.services[rpc.service].service.name));
            }
            path.push(bare_snake(&rpc.method.name));
            let path = claim_path(&mut taken, path);
            operations.push(Operation {
                rest: None,
                rpc: Some(rpc),
                path,
            });
        }
        operations
    }

    fn all_routes(&self) -> impl Iterator<Item = (&'a Group, &'a Route)> + use<'a> {
        let service = self
            .project
            .api
            .as_ref()
            .and_then(|api| api.service.as_ref());
        service.into_iter().flat_map(|service| service.routes())
    }
}

/// The folders of groups, which no operation's module may be called like.
fn folders(groups: &BTreeSet<&Option<String>>, nested: bool) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for group in groups.iter().filter(|_| nested).copied().flatten() {
        let mut folder = String::new();
        for part in group.split('/') {
            folder = format!("{folder}/{}", bare_snake(part));
            folders.insert(folder.clone());
        }
    }
    folders
}

fn claim_path(taken: &mut BTreeSet<String>, path: Vec<String>) -> Vec<String> {
    let whole = format!("/{}", path.join("/"));
    let claimed = claim(taken, &whole, "_");
    claimed.split('/').skip(1).map(str::to_owned).collect()
}

/// For each route the function and the static: the handler's name, with its group where two
/// groups have a handler of that name.
fn rest_names(api: Option<&Api>) -> Vec<(String, String)> {
    let Some(service) = api.and_then(|api| api.service.as_ref()) else {
        return Vec::new();
    };
    let routes: Vec<(&Group, &Route)> = service.routes().collect();
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for (group, route) in &routes {
        let alike = routes
            .iter()
            .filter(|(_, other)| bare_snake(&other.handler) == bare_snake(&route.handler));
        let base = match &group.group {
            Some(group) if alike.count() > 1 => {
                format!("{}_{}", bare_snake(group), bare_snake(&route.handler))
            }
            _ => bare_snake(&route.handler),
        };
        let name = claim(&mut taken, &base, "_");
        names.push((snake(&name), shouty(&name)));
    }
    names
}

fn rpc_names(proto: Option<&Proto>) -> Vec<RpcNames<'_>> {
    let services = proto.map_or(&[][..], |proto| &proto.services);
    let mut statics = BTreeSet::new();
    let mut types = BTreeSet::new();
    let mut all = Vec::new();
    for service in services {
        let mut functions = BTreeSet::new();
        let mut methods = Vec::new();
        for method in &service.methods {
            let function = claim(&mut functions, &bare_snake(&method.name), "_");
            let constant = claim(&mut statics, &shouty(&method.name), "_");
            methods.push((escaped(function), constant));
        }
        let base = camel(&service.name);
        let stem = base
            .strip_suffix("Service")
            .filter(|stem| !stem.is_empty())
            .unwrap_or(&base);
        all.push(RpcNames {
            service,
            client: claim(&mut types, &format!("{stem}Client"), ""),
            serve: match services.len() {
                1 => "serve".to_owned(),
                _ => format!("serve_{}", bare_snake(&service.name)),
            },
            service_trait: base,
            methods,
        });
    }
    all
}

/// The types that request bodies are read into.
fn read_types(api: &Api) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let Some(service) = &api.service else {
        return found;
    };
    for (_, route) in service.routes() {
        match route.request.as_ref().map(|body| &body.ty) {
            Some(Type::Struct(name)) => {
                let top = api.type_named(name);
                let fields = top
                    .into_iter()
                    .flat_map(|item| item.fields_from(Source::Json));
                for field in fields {
                    reach(api, &field.ty, &mut found);
                }
                // A request of JSON fields alone is read whole; others have a body type.
                if let Some(top) = top.filter(|top| is_json(top)) {
                    found.insert(&top.name);
                }
            }
            Some(other) => reach(api, other, &mut found),
            None => {}
        }
    }
    found
}

fn reach<'a>(api: &'a Api, ty: &'a Type, found: &mut BTreeSet<&'a str>) {
    match ty {
        Type::Struct(name) => {
            if let Some(item) = api.type_named(name)
                && found.insert(&item.name)
            {
                for field in item.fields_from(Source::Json) {
                    reach(api, &field.ty, found);
                }
            }
        }
        Type::List(item) | Type::Array(_, item) => reach(api, item, found),
        Type::Map(_, value) => reach(api, value, found),
        _ => {}
    }
}

/// Whether every field of the type is JSON or nowhere on the wire, and one is JSON.
pub(crate) fn is_json(item: &Struct) -> bool {
    !item.fields.is_empty()
        && item.fields.iter().any(|field| field.source == Source::Json)
        && item
            .fields
            .iter()
            .all(|field| matches!(field.source, Source::Json | Source::None))
}

/// Whether a field of the type comes from path, query or header.
pub(crate) fn is_request_only(item: &Struct) -> bool {
    item.fields
        .iter()
        .any(|field| !matches!(field.source, Source::Json | Source::None))
}

/// The structs that routes take as their request.
pub(crate) fn requests(api: &Api) -> BTreeSet<&str> {
    let routes = api.service.iter().flat_map(|service| service.routes());
    routes
        .filter_map(|(_, route)| match route.request.as_ref() {
            Some(Body {
                ty: Type::Struct(name),
                ..
            }) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// The modules below `logic` (or below one of its folders): folder -> names.
pub(crate) fn module_tree(operations: &[Operation<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let mut tree: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    tree.entry(String::new()).or_default();
    for operation in operations {
        let mut folder = String::new();
        for part in &operation.path {
            tree.entry(folder.clone()).or_default().insert(part.clone());
            folder = format!("{folder}/{part}");
        }
    }
    tree
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
