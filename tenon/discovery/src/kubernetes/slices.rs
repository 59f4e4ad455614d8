//! EndpointSlices, and the instances that they name.

use std::collections::BTreeMap;

use serde::Deserialize;
use tenon_core::config::PortName;

use crate::Instance;

/// What is read of an EndpointSlice. A list that is empty may be left out or `null`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Slice {
    pub(super) metadata: Metadata,
    pub(super) address_type: String,
    pub(super) endpoints: Option<Vec<Endpoint>>,
    pub(super) ports: Option<Vec<Port>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) resource_version: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    pub(super) addresses: Vec<String>,
    pub(super) conditions: Option<Conditions>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Port {
    pub(super) name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) protocol: Option<String>,
}

/// The slices of one service by their names.
pub(super) struct Slices {
    port: Option<PortName>,
    slices: BTreeMap<String, Slice>,
}

impl Slices {
    pub(super) fn new(port: Option<PortName>) -> Self {
        Self {
            port,
            slices: BTreeMap::new(),
        }
    }

    pub(super) fn put(&mut self, slice: Slice) {
        self.slices.insert(slice.metadata.name.clone(), slice);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.slices.remove(name);
    }

    /// The ready endpoints of all slices. A service of both families has each pod twice; those of
    /// IPv4 are taken then, so that no pod gets two shares.
    pub(super) fn instances(&self) -> Vec<Instance> {
        for family in ["IPv4", "IPv6", "FQDN"] {
            let of_family = self
                .slices
                .values()
                .filter(|slice| slice.address_type == family);
            let found: Vec<_> = of_family.flat_map(|slice| self.of(slice)).collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    fn of<'a>(&self, slice: &'a Slice) -> impl Iterator<Item = Instance> + use<'a> {
        let port = self.port_of(slice);
        let endpoints = slice
            .endpoints
            .iter()
            .flatten()
            .filter(|endpoint| endpoint.is_ready());
        endpoints.filter_map(move |endpoint| {
            // The addresses of one endpoint are one pod, any of them will do.
            let address = endpoint.addresses.first()?;
            let port = port?;
            Some(if address.contains(':') {
                Instance::new(format!("[{address}]:{port}"))
            } else {
                Instance::new(format!("{address}:{port}"))
            })
        })
    }

    fn port_of(&self, slice: &Slice) -> Option<u16> {
        let mut ports = slice.ports.iter().flatten();
        let mut tcp = ports
            .by_ref()
            .filter(|port| port.protocol.as_deref().is_none_or(|of| of == "TCP"));
        match &self.port {
            Some(PortName::Number(number)) => tcp.find(|port| port.port == Some(*number))?.port,
            Some(PortName::Name(name)) => {
                tcp.find(|port| port.name.as_deref() == Some(name.as_str()))?
                    .port
            }
            None => {
                let only = tcp.next()?;
                tcp.next().is_none().then_some(only.port)?
            }
        }
    }
}

impl Endpoint {
    /// "A nil value indicates an unknown state, and should be interpreted as true" (the API's
    /// own words). What terminates is left out also where a service publishes it as ready.
    fn is_ready(&self) -> bool {
        let conditions = self.conditions.clone().unwrap_or_default();
        conditions.ready != Some(false) && conditions.terminating != Some(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoint(address: String, ready: Option<bool>, terminating: Option<bool>) -> Endpoint {
        Endpoint {
            addresses: vec![address],
            conditions: Some(Conditions { ready, terminating }),
        }
    }

    fn slice(name: &str, family: &str, endpoints: Vec<Endpoint>, ports: &[(&str, u16)]) -> Slice {
        Slice {
            metadata: Metadata {
                name: name.to_owned(),
                resource_version: "1".to_owned(),
            },
            address_type: family.to_owned(),
            endpoints: Some(endpoints),
            ports: Some(
                ports
                    .iter()
                    .map(|(name, port)| Port {
                        name: Some((*name).to_owned()),
                        port: Some(*port),
                        protocol: Some("TCP".to_owned()),
                    })
                    .collect(),
            ),
        }
    }

    fn addresses(slices: &Slices) -> Vec<String> {
        let instances = slices.instances();
        instances
            .iter()
            .map(|one| one.address.to_string())
            .collect()
    }

    #[test]
    fn only_ready_endpoints_of_all_slices_are_instances() {
        let mut slices = Slices::new(Some(PortName::Name("grpc".to_owned())));
        let ports = [("grpc", 9102), ("rest", 8102)];
        slices.put(slice(
            "a",
            "IPv4",
            vec![
                endpoint("10.0.0.1".into(), Some(true), None),
                endpoint("10.0.0.2".into(), Some(false), None),
                endpoint("10.0.0.3".into(), None, None),
                endpoint("10.0.0.4".into(), Some(true), Some(true)),
            ],
            &ports,
        ));
        slices.put(slice(
            "b",
            "IPv4",
            vec![endpoint("10.0.1.1".into(), Some(true), None)],
            &ports,
        ));
        slices.put(slice(
            "c",
            "IPv6",
            vec![endpoint("fd00::1".into(), Some(true), None)],
            &ports,
        ));
        assert_eq!(
            addresses(&slices),
            ["10.0.0.1:9102", "10.0.0.3:9102", "10.0.1.1:9102"]
        );
        slices.remove("a");
        slices.remove("b");
        assert_eq!(addresses(&slices), ["[fd00::1]:9102"]);
    }

    #[test]
    fn a_port_is_found_by_name_by_number_or_because_it_is_the_only_one() {
        let one = || vec![endpoint("10.0.0.1".into(), Some(true), None)];
        for (port, ports, expected) in [
            (
                Some(PortName::Number(8102)),
                &[("a", 1), ("b", 8102)][..],
                Some("10.0.0.1:8102"),
            ),
            (Some(PortName::Number(3)), &[("a", 1)][..], None),
            (
                Some(PortName::Name("b".into())),
                &[("a", 1), ("b", 2)][..],
                Some("10.0.0.1:2"),
            ),
            (None, &[("", 7)][..], Some("10.0.0.1:7")),
            (None, &[("a", 1), ("b", 2)][..], None),
        ] {
            let mut slices = Slices::new(port);
            slices.put(slice("s", "IPv4", one(), ports));
            assert_eq!(addresses(&slices).first().map(String::as_str), expected);
        }
    }

    #[test]
    fn lists_that_are_null_or_left_out_are_empty() {
        for text in [
            r#"{"metadata":{"name":"a"},"addressType":"IPv4","endpoints":null,"ports":null}"#,
            r#"{"metadata":{"name":"a"},"addressType":"IPv4"}"#,
        ] {
            let mut slices = Slices::new(None);
            slices.put(serde_json::from_str(text).unwrap());
            assert!(slices.instances().is_empty());
        }
    }

    proptest! {
        /// The events of one slice keep their order, those of different slices need not: the list
        /// is that of the final state.
        #[test]
        fn any_order_of_events_leads_to_the_list_of_the_final_state(
            history in proptest::collection::vec(
                proptest::collection::vec(
                    proptest::option::of(proptest::collection::vec((0_u8..9, any::<bool>()), 0..4)),
                    0..5),
                1..5),
            order in proptest::collection::vec(0_usize..64, 0..40),
        ) {
            let apply = |slices: &mut Slices, at: usize, event: &Option<Vec<(u8, bool)>>| {
                let name = format!("s{at}");
                match event {
                    Some(pods) => {
                        let endpoints = pods
                            .iter()
                            .map(|(pod, ready)| endpoint(format!("10.0.{at}.{pod}"), Some(*ready), None))
                            .collect();
                        slices.put(slice(&name, "IPv4", endpoints, &[("p", 80)]));
                    }
                    None => slices.remove(&name),
                }
            };
            let mut expected = Slices::new(None);
            for (at, events) in history.iter().enumerate() {
                if let Some(last) = events.last() {
                    apply(&mut expected, at, last);
                }
            }
            let mut left: Vec<_> = history.iter().map(|events| events.iter()).collect();
            let mut slices = Slices::new(None);
            for choice in order {
                let at = choice % left.len();
                if let Some(event) = left[at].next() {
                    apply(&mut slices, at, event);
                }
            }
            for (at, rest) in left.into_iter().enumerate() {
                for event in rest {
                    apply(&mut slices, at, event);
                }
            }
            prop_assert_eq!(slices.instances(), expected.instances());
        }
    }
}
