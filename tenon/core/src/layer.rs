//! What requests and calls pass, as the admin server shows it.

use serde::Serialize;

/// One layer around a route, a method or a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The layer.
    pub name: String,
    /// Its settings, where it has any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

impl Layer {
    /// A layer without settings.
    pub fn plain(name: impl Into<String>) -> Self {
        Self::new(name, "")
    }

    /// A layer with its settings.
    pub fn new(name: impl Into<String>, settings: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: settings.into(),
        }
    }
}
