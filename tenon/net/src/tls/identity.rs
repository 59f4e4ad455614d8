//! The identity in a certificate.

use rustls_pki_types::CertificateDer;
use tenon_core::PeerIdentity;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// The first URI of the leaf's subject alternative names (as SPIFFE has it), else the first DNS
/// name. The certificates were verified before; a common name counts for nothing (RFC 9525).
pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<PeerIdentity> {
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    let names = leaf.subject_alternative_name().ok()??;
    let names = &names.value.general_names;
    let uri = names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let dns = || {
        names.iter().find_map(|name| match name {
            GeneralName::DNSName(dns) => Some(*dns),
            _ => None,
        })
    };
    uri.or_else(dns).map(PeerIdentity::new)
}
