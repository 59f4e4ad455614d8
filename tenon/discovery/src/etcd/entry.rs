//! The value of an instance: `host:port` as go-zero writes it, or the JSON object of etcd's own
//! naming package (`go.etcd.io/etcd/client/v3/naming/endpoints`), which also tells a weight.

use serde::{Deserialize, Serialize};

use crate::Instance;

/// etcd's own form.
#[derive(Deserialize, Serialize)]
struct Naming {
    #[serde(rename = "Addr")]
    address: String,
    #[serde(rename = "Metadata", default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize, Serialize)]
struct Metadata {
    weight: Option<u32>,
}

/// The instance that a value names, if it names one.
pub(super) fn read(value: &[u8]) -> Option<Instance> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let instance = if text.starts_with('{') {
        let naming: Naming = serde_json::from_str(text).ok()?;
        let weight = naming.metadata.and_then(|metadata| metadata.weight);
        let instance = Instance::new(naming.address);
        match weight {
            Some(weight) => instance.with_weight(weight),
            None => instance,
        }
    } else {
        Instance::new(text)
    };
    is_address(&instance.address).then_some(instance)
}

/// The value of an instance. One of the usual weight is written as everybody reads it.
pub(super) fn write(instance: &Instance) -> String {
    if instance.weight == 100 {
        return instance.address.to_string();
    }
    let naming = Naming {
        address: instance.address.to_string(),
        metadata: Some(Metadata {
            weight: Some(instance.weight),
        }),
    };
    // Text and a number always can be written.
    serde_json::to_string(&naming).unwrap_or_else(|_| instance.address.to_string())
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let clean = |c: char| !c.is_whitespace() && !matches!(c, '/' | '@' | '?' | '#');
    !host.is_empty() && host.chars().all(clean) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for weight in [0, 1, 100, 250] {
            let instance = Instance::new("10.0.0.7:9102").with_weight(weight);
            assert_eq!(read(write(&instance).as_bytes()), Some(instance));
        }
    }

    #[test]
    fn the_values_of_others_are_read_and_nonsense_is_not() {
        let go_zero = read(b"10.0.0.7:9102").unwrap();
        assert_eq!(go_zero, Instance::new("10.0.0.7:9102"));
        let naming = read(br#"{"Op":0,"Addr":"[::1]:9102","Metadata":null}"#).unwrap();
        assert_eq!(naming, Instance::new("[::1]:9102"));
        for bad in [
            "",
            "host",
            "host:",
            ":1",
            "http://a:1",
            "a:0",
            "{",
            "{\"Addr\":1}",
            "a b:1",
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }
}
