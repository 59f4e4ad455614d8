//! How the instances of a service are connected to, and whether they may be, found out before the
//! first call.

use tenon_core::config::{ClientConfig, ConfigError, Plaintext, Source};
use tenon_net::{ClientTls, Protocol, tls::plaintext_refused};

use super::endpoint::{self, Dialer};

/// How the instances of a section are connected to.
///
/// # Errors
/// The section is not sound.
pub(super) fn dialer(section: &str, config: &ClientConfig) -> Result<Dialer, ConfigError> {
    let tls = match &config.tls {
        Some(tls) => {
            let key = format!("{section}.tls");
            Some(ClientTls::load(&key, tls, Protocol::Http2)?)
        }
        None => None,
    };
    if tls.is_none() && config.plaintext == Plaintext::Allowed {
        tracing::warn!(client = section, "plaintext on any network, as configured");
    }
    let dialer = Dialer {
        section: section.to_owned(),
        tls,
        plaintext: config.plaintext,
    };
    check(section, config, &dialer)?;
    Ok(dialer)
}

/// Finds at start what a call would find. Addresses that a registry gives are looked at when they
/// are connected to.
fn check(section: &str, config: &ClientConfig, dialer: &Dialer) -> Result<(), ConfigError> {
    let refused = |problem: String| ConfigError::new(section, problem);
    let needs_word = dialer.tls.is_none() && dialer.plaintext == Plaintext::Loopback;
    match config.source(section.trim_start_matches("clients."))? {
        Source::Endpoints(endpoints) => {
            for address in endpoints {
                let is_loopback = endpoint::check(address).map_err(refused)?;
                if needs_word && !is_loopback {
                    return Err(refused(plaintext_refused(section, address)));
                }
            }
        }
        Source::Kubernetes(_) if needs_word => {
            return Err(refused(plaintext_refused(section, "a pod")));
        }
        _ => {}
    }
    Ok(())
}
