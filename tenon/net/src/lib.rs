//! Listening, the accept loop, connection limits and drain; rest, rpc and admin are served on it.
