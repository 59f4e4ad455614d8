//! Binding and validation, routing, the onion and problem documents.
