//! The one dependency of a service: what a generated project uses, under one name.
