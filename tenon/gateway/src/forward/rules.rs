//! Rules that change the headers of messages: renamed, then removed, then set.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tenon_core::config::HeaderRulesConfig;

/// Headers that the gateway answers for: the connection, the length and where the request came
/// from. A rule on them would break the message or let a claim look like a fact.
const OWN: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("x-request-timeout-ms"),
    HeaderName::from_static("grpc-timeout"),
];

/// What a [`HeaderRulesConfig`] says, checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderRules {
    rename: Vec<(HeaderName, HeaderName)>,
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderRules {
    /// Reads the rules; the error says what is wrong with them.
    pub(crate) fn new(config: &HeaderRulesConfig) -> Result<Self, String> {
        let mut rules = Self::default();
        for (old, new) in &config.rename {
            rules.rename.push((name(old)?, name(new)?));
        }
        for removed in &config.remove {
            rules.remove.push(name(removed)?);
        }
        for (key, value) in &config.set {
            let mut text = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of header `{key}` is not printable"))?;
            text.set_sensitive(true);
            rules.set.push((name(key)?, text));
        }
        Ok(rules)
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for (old, new) in &self.rename {
            if let header::Entry::Occupied(found) = headers.entry(old) {
                let (_, values) = found.remove_entry_mult();
                let values: Vec<HeaderValue> = values.collect();
                headers.remove(new);
                for value in values {
                    headers.append(new, value);
                }
            }
        }
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
    }

    /// For the table of routes: names only, for a value may be a password.
    pub(crate) fn shown(&self) -> String {
        let renamed = self
            .rename
            .iter()
            .map(|(old, new)| format!("rename {old} to {new}"));
        let removed = self.remove.iter().map(|name| format!("remove {name}"));
        let set = self.set.iter().map(|(name, _)| format!("set {name}"));
        let all: Vec<String> = renamed.chain(removed).chain(set).collect();
        all.join(", ")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rename.is_empty() && self.remove.is_empty() && self.set.is_empty()
    }
}

fn name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| format!("`{text}` is not the name of a header"))?;
    if OWN.contains(&name) {
        return Err(format!(
            "the header `{name}` is the gateway's own; no rule may change it"
        ));
    }
    Ok(name)
}
