//! Asking a peer whether it is there, before calls are trusted to it again.
//!
//! A connection proves little: the kernel of a stopped process accepts it. Any answer to the health
//! check of gRPC proves that the process lives; one that says "not serving" keeps calls away.

use http::Request;
use prost::Message;

use super::{endpoint::Connection, fault::chain, outgoing::Outgoing};
use crate::{
    frame::{self, Encoding},
    health, status,
};

/// The largest answer that is read.
const REPLY_MAX: u64 = 1 << 10;

/// Resolves when the peer has answered. The caller sets the limit.
///
/// # Errors
/// It cannot be asked, or says that it does not serve.
pub(super) async fn greet(connection: &mut Connection) -> Result<(), String> {
    let mut request = Request::new(Outgoing::message(bytes::Bytes::from_static(&[0; 5])));
    super::request::address(&mut request, &health::CHECK, connection)
        .map_err(|error| error.to_string())?;
    let response = match connection.send(request).await {
        Ok(response) => response,
        Err((fault, _)) => return Err(fault.tell()),
    };
    // An error is an answer: not every server has the service.
    if status::read(response.headers()).is_some() {
        return Ok(());
    }
    let (parts, body) = response.into_parts();
    let Some(encoding) = Encoding::of(&parts.headers) else {
        return Ok(());
    };
    match frame::read_one(body, encoding, REPLY_MAX).await {
        Ok((Some(message), _)) => match health::Reply::decode(message) {
            Ok(reply) if reply.status == health::Status::NotServing as i32 => {
                Err("it says that it does not serve".to_owned())
            }
            _ => Ok(()),
        },
        Ok((None, _)) => Ok(()),
        Err(frame::Problem::Broken(cause)) => Err(chain(&*cause)),
        Err(_) => Ok(()),
    }
}
