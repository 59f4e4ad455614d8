//! Routes to services over HTTP, streaming, with the deadline.
