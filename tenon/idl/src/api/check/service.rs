//! Service blocks to one service.

use super::Checker;
use super::routes::Seen;
use crate::api::tree::{NodeId, NodeKind};
use crate::model::{Group, Service, Struct};

impl Checker<'_> {
    /// The service of all files; none where no file has a block.
    pub(super) fn service(&mut self, types: &[Struct]) -> Option<Service> {
        let mut service: Option<Service> = None;
        let mut seen = Seen::default();
        for file in self.sources.order.clone() {
            let tree = self.tree(file);
            for block in tree.children_of_kind(tree.root(), NodeKind::Service) {
                let Some(name_node) = tree.child_of_kind(block, NodeKind::ServiceName) else {
                    continue;
                };
                let name: String = tree
                    .child_tokens(name_node)
                    .map(|token| tree.token_text(token))
                    .collect();
                let place = self.place(file, name_node);
                let known = service.get_or_insert_with(|| Service {
                    crate_name: crate_name(&name),
                    name: name.clone(),
                    groups: Vec::new(),
                    place,
                });
                if known.name != name {
                    let message = format!(
                        "the service is called `{name}` here and `{}` elsewhere",
                        known.name
                    );
                    let hint = format!(
                        "all blocks share one name; the other is at {}",
                        self.line_of(known.place)
                    );
                    self.report_with(place, message, hint);
                }
                let group = self.group(file, block, types, &mut seen);
                if let Some(service) = &mut service {
                    service.groups.push(group);
                }
            }
        }
        service
    }

    fn group(&mut self, file: usize, block: NodeId, types: &[Struct], seen: &mut Seen) -> Group {
        let tree = self.tree(file);
        let mut group = Group::default();
        if let Some(server) = tree.child_of_kind(block, NodeKind::Server) {
            group.place = self.place(file, server);
            self.server_keys(file, server, &mut group);
        } else if let Some(name) = tree.child_of_kind(block, NodeKind::ServiceName) {
            group.place = self.place(file, name);
        }
        for item in tree.children_of_kind(block, NodeKind::Item) {
            if let Some(route) = self.item(file, item, &group, types, seen) {
                group.routes.push(route);
            }
        }
        group
    }
}

/// The service name in lower case without the `-api` that contracts end it with.
fn crate_name(name: &str) -> String {
    let lower = name.to_lowercase();
    match lower.strip_suffix("-api") {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => lower,
    }
}
