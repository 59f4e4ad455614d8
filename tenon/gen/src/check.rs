//! What a contract may not ask of this generator, because it would not be built: found before
//! anything is written, so that no route is ever open by omission.

use tenon_idl::{
    Diagnostic,
    model::{Api, Field, Place, Presence, Route, Struct, Type},
    proto::Proto,
};

use crate::{Config, Project, names::same, openapi::transcoded};

/// All findings of a project.
pub(crate) fn check(project: &Project) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    if let Some(api) = &project.api {
        security(api, &project.config, &mut findings);
        for item in &api.types {
            fields(api, item, &mut findings);
        }
        bodies(api, &mut findings);
    }
    if let (Some(api), Some(proto)) = (&project.api, &project.proto) {
        streams(api, proto, &mut findings);
    }
    match &project.proto {
        Some(proto) => methods(proto, &project.config, &mut findings),
        None => permissions(&[], &project.config, &mut findings),
    }
    findings
}

/// Keys of `@server` and `@doc` that promise what is not built.
const UNBUILT: [(&str, &str); 1] = [(
    "signature",
    "remove the key, or guard the routes with `jwt` or `permission`",
)];

/// Keys that have no effect here, which may surprise.
pub(crate) fn warnings(project: &Project) -> Vec<Diagnostic> {
    let Some(api) = &project.api else {
        return Vec::new();
    };
    let groups = api.service.iter().flat_map(|service| &service.groups);
    groups
        .flat_map(|group| &group.extra)
        .map(|pair| {
            let message = format!("key `{}` of `@server` has no effect", pair.key);
            api.diagnostic(pair.place, message)
        })
        .collect()
}

fn security(api: &Api, config: &Config, findings: &mut Vec<Diagnostic>) {
    let Some(service) = &api.service else { return };
    let mut block: Option<&str> = None;
    for group in &service.groups {
        for (key, hint) in UNBUILT {
            if let Some(pair) = group.extra_pair(key).filter(|pair| pair.value != "false") {
                let message = format!("`{key}` of `@server` is not built yet");
                findings.push(api.diagnostic(pair.place, message).with_hint(hint));
            }
        }
        let named = [&group.jwt, &group.jwt_transition];
        for name in named.into_iter().flatten() {
            let first = *block.get_or_insert(name);
            if first != name {
                let message =
                    format!("`{name}` would be a second source of tokens beside `{first}`");
                findings.push(
                    api.diagnostic(group.place, message).with_hint(
                        "a service has one `auth` section; name the same block everywhere",
                    ),
                );
            }
        }
        let guarded = group.jwt.is_some() || group.jwt_transition.is_some();
        if guarded && group.permission.as_deref() == Some("public") {
            let message = "`permission: public` opens routes that `jwt` closes";
            findings.push(
                api.diagnostic(group.place, message)
                    .with_hint("keep one of the two"),
            );
        }
        if config.access_required && group.permission.is_none() {
            for route in &group.routes {
                findings.push(unruled(api, route));
            }
        }
    }
}

fn unruled(api: &Api, route: &Route) -> Diagnostic {
    let message = format!(
        "route `{}` has no access rule, and `access` is `required`",
        route.handler
    );
    api.diagnostic(route.handler_place, message).with_hint(
        "write `permission: ...` into its `@server` block, or `permission: public` for everybody",
    )
}

fn fields(api: &Api, item: &Struct, findings: &mut Vec<Diagnostic>) {
    for field in &item.fields {
        nested_array(api, &field.ty, field.place, findings);
        let other = match &field.presence {
            Some(Presence::With(other) | Presence::Without(other)) => other,
            None => continue,
        };
        let beside = |other_field: &&Field| {
            other_field.wire_name == *other && other_field.source == field.source
        };
        if item.fields.iter().find(beside).is_none() {
            let message = format!(
                "`optional={other}` names no {} field of `{}`",
                field.source, item.name
            );
            findings.push(
                api.diagnostic(field.place, message)
                    .with_hint("the two fields must come from the same place"),
            );
        }
    }
}

/// A fixed length is a rule of a field; it cannot be checked inside a list or map.
fn nested_array(api: &Api, ty: &Type, place: Place, findings: &mut Vec<Diagnostic>) {
    let inner = match ty {
        Type::List(inner) | Type::Array(_, inner) | Type::Map(_, inner) => inner,
        _ => return,
    };
    if let Type::Array(length, item) = inner.as_ref() {
        let message = format!("`[{length}]{item}` inside a list or map is not built yet");
        findings.push(
            api.diagnostic(place, message)
                .with_hint("declare a type with a field of that length"),
        );
    }
    nested_array(api, inner, place, findings);
}

fn bodies(api: &Api, findings: &mut Vec<Diagnostic>) {
    let Some(service) = &api.service else { return };
    for (_, route) in service.routes() {
        if let Some(body) = &route.request
            && let Type::Array(..) = body.ty
        {
            findings.push(
                api.diagnostic(
                    body.place,
                    "a fixed length as a whole request is not built yet",
                )
                .with_hint("declare a type with a field of that length"),
            );
        }
        for body in [&route.request, &route.response].into_iter().flatten() {
            nested_array(api, &body.ty, body.place, findings);
        }
    }
}

/// One logic function serves a route and a method of the same name, so both stream or neither.
fn streams(api: &Api, proto: &Proto, findings: &mut Vec<Diagnostic>) {
    let routes = api.service.iter().flat_map(|service| service.routes());
    for (group, route) in routes {
        let methods = proto.services.iter().flat_map(|service| &service.methods);
        for method in methods.filter(|method| same(&method.name, &route.handler)) {
            if !method.client_streaming && method.server_streaming == group.sse {
                continue;
            }
            let message = format!(
                "method `{}` and route `{}` are one operation, and do not stream alike",
                method.name, route.handler
            );
            findings.push(proto.diagnostic(method.position, message).with_hint(
                "call one of them differently, or let the method answer with a stream and the route stand under `sse: true`",
            ));
        }
    }
}

fn methods(proto: &Proto, config: &Config, findings: &mut Vec<Diagnostic>) {
    let mut names = Vec::new();
    for service in &proto.services {
        for method in &service.methods {
            names.push(method.name.as_str());
            if config.access_required && !config.permissions.contains_key(&method.name) {
                let message = format!(
                    "method `{}` has no access rule, and `access` is `required`",
                    method.name
                );
                findings.push(proto.diagnostic(method.position, message).with_hint(
                    "give it one under [rpc.permission] in tenon.toml: a permission, `internal` or `public`",
                ));
            }
        }
    }
    permissions(&names, config, findings);
    findings.extend(transcoded::check(proto));
}

fn permissions(methods: &[&str], config: &Config, findings: &mut Vec<Diagnostic>) {
    for name in config.permissions.keys() {
        if methods.contains(&name.as_str()) {
            continue;
        }
        let message = format!("no method of the RPC contract is called `{name}`");
        let found = config.permission_diagnostic(name, message);
        let near = methods
            .iter()
            .min_by_key(|method| strsim::damerau_levenshtein(method, name));
        findings.push(match near {
            Some(near) if same(near, name) => {
                found.with_hint(format!("names are case-sensitive: `{near}`"))
            }
            Some(near) => found.with_hint(format!("the nearest is `{near}`")),
            None => found.with_hint("the service has no RPC methods"),
        });
    }
}
