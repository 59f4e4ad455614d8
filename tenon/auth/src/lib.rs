//! Keys, the token verifier and its cache, and the access rules of routes and methods.
