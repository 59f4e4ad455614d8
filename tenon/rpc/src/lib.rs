//! The gRPC server and client, local or remote.
