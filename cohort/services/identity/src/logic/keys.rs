//! `GET /api/v1/identity/keys`

use tenon::{Context, Result};

use crate::ServiceContext;

/// The public keys of the access tokens, as a JSON Web Key Set (RFC 7517).
///
/// `GET /api/v1/identity/keys`
///
/// # Errors
/// None.
pub async fn keys(_cx: &Context, svc: &ServiceContext) -> Result<tenon::Json> {
    Ok(svc.signer.jwks())
}
