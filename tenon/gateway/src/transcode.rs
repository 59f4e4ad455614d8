//! gRPC transcoding: JSON requests become calls of a gRPC service by the `google.api.http` rules
//! of its contract, and their replies become JSON.
//!
//! Source: `google/api/http.proto`, whose comment is the specification; where it is silent,
//! grpc-gateway and Envoy decide.

pub(crate) mod backend;
pub mod binding;
pub(crate) mod call;
pub(crate) mod contract;
mod json;
mod lines;
pub mod matcher;
mod node;
pub mod raw;
pub(crate) mod reflect;
mod reply;
mod report;
pub mod rule;
pub mod template;
mod upload;
mod wellknown;

pub use binding::{Binding, Content, Mapping, REPLY_UNMAPPABLE};
pub use matcher::{Match, Matcher, Verb};
pub use rule::Rule;
pub use template::{Template, TemplateError};
