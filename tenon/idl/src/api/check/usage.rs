//! Types against their use: only the top level of a request binds path, query and headers.

use std::collections::{HashMap, HashSet};

use super::Checker;
use crate::model::{Api, Source, Struct, Type};

impl Checker<'_> {
    /// Reports fields that a route would never fill or never send as they are declared.
    pub(super) fn usage(&mut self, api: &Api) {
        let Some(service) = &api.service else { return };
        let types: HashMap<&str, &Struct> = api
            .types
            .iter()
            .map(|item| (item.name.as_str(), item))
            .collect();
        let mut walk = Walk {
            types: &types,
            met: HashSet::new(),
        };
        for (_, route) in service.routes() {
            match route.request.as_ref().map(|body| &body.ty) {
                Some(Type::Struct(name)) => {
                    for field in types
                        .get(name.as_str())
                        .map_or(&[][..], |item| &item.fields)
                    {
                        walk.visit(&field.ty);
                    }
                }
                Some(other) => walk.visit(other),
                None => {}
            }
            if let Some(response) = &route.response {
                walk.visit(&response.ty);
            }
        }
        let met = walk.met;
        for item in api
            .types
            .iter()
            .filter(|item| met.contains(item.name.as_str()))
        {
            let wrong = item
                .fields
                .iter()
                .filter(|field| !matches!(field.source, Source::Json | Source::None));
            for field in wrong {
                let message = format!(
                    "{} field `{}` of `{}` is used in a response or inside another type, where all is JSON",
                    field.source, field.name, item.name
                );
                self.report_with(
                    field.place,
                    message,
                    "declare a type of its own for that use, with `json` tags",
                );
            }
        }
    }
}

struct Walk<'t> {
    types: &'t HashMap<&'t str, &'t Struct>,
    met: HashSet<&'t str>,
}

impl<'t> Walk<'t> {
    /// Enters all structs inside the type.
    fn visit(&mut self, ty: &'t Type) {
        let mut open = vec![ty];
        while let Some(ty) = open.pop() {
            match ty {
                Type::Struct(name) => {
                    if let Some(item) = self
                        .types
                        .get(name.as_str())
                        .filter(|_| self.met.insert(name))
                    {
                        open.extend(item.fields.iter().map(|field| &field.ty));
                    }
                }
                Type::List(item) | Type::Array(_, item) => open.push(item),
                Type::Map(key, value) => open.extend([key.as_ref(), value.as_ref()]),
                _ => {}
            }
        }
    }
}
