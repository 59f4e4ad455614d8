//! Where calls go: a service across the network, or in this process.

use bytes::Bytes;
use tenon_core::{Context, Messages, Result};
use tenon_rpc::{Channel, Door, Method};

/// What answers calls.
#[derive(Clone)]
pub(crate) enum Backend {
    /// Over a channel.
    Remote(Channel),
    /// At the gRPC door of this process: everything that the door does is done, and no byte
    /// leaves the process.
    Local(Door),
}

impl Backend {
    pub(crate) async fn unary(
        &self,
        cx: &Context,
        method: &'static Method,
        message: Bytes,
    ) -> Result<Bytes> {
        match self {
            Self::Remote(channel) => channel.unary_bytes(cx, method, message).await,
            Self::Local(door) => door.unary_bytes(cx, method, message).await,
        }
    }

    pub(crate) async fn client_stream(
        &self,
        cx: &Context,
        method: &'static Method,
        messages: Messages<Bytes>,
    ) -> Result<Bytes> {
        match self {
            Self::Remote(channel) => channel.client_stream_bytes(cx, method, messages).await,
            Self::Local(door) => door.client_stream_bytes(cx, method, messages).await,
        }
    }

    pub(crate) async fn bidi(
        &self,
        cx: &Context,
        method: &'static Method,
        messages: Messages<Bytes>,
    ) -> Result<Messages<Bytes>> {
        match self {
            Self::Remote(channel) => channel.bidi_bytes(cx, method, messages).await,
            Self::Local(door) => door.bidi_bytes(cx, method, messages).await,
        }
    }

    pub(crate) async fn stream(
        &self,
        cx: &Context,
        method: &'static Method,
        message: Bytes,
    ) -> Result<Messages<Bytes>> {
        match self {
            Self::Remote(channel) => channel.server_stream_bytes(cx, method, message).await,
            Self::Local(door) => door.server_stream_bytes(cx, method, message).await,
        }
    }
}
