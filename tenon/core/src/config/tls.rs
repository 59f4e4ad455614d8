//! The sections `tls` of what listens and of what calls, and the word that allows plaintext.

use std::{net::IpAddr, path::PathBuf};

use serde::Deserialize;

/// The section `tls` of a door: `rest.tls`, `rpc.tls` or `admin.tls`. TLS 1.3, and 1.2 with
/// authenticated ciphers. The files are read again when their content changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerTlsConfig {
    /// The certificate of the service and those between it and its root, PEM, leaf first.
    pub cert_file: PathBuf,
    /// The private key of the certificate, PEM.
    pub key_file: PathBuf,
    /// The roots that certificates of clients must lead to, PEM. Needed unless `clientAuth` is
    /// `none`.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients show a certificate. Default `none`, or `required` with a `clientCaFile`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
}

impl ServerTlsConfig {
    /// Whether clients show a certificate, the default filled in.
    ///
    /// # Errors
    /// Certificates are to be checked, and there is nothing to check them against, or the
    /// reverse. The text says which key to write.
    pub fn client_auth(&self) -> Result<ClientAuth, String> {
        match (self.client_auth, &self.client_ca_file) {
            (None, None) => Ok(ClientAuth::None),
            (None, Some(_)) => Ok(ClientAuth::Required),
            (Some(ClientAuth::None), Some(_)) => Err(
                "`clientCaFile` is never used with `clientAuth: none`; take one of them out"
                    .to_owned(),
            ),
            (Some(asked), None) if asked != ClientAuth::None => Err(format!(
                "`clientAuth: {}` needs `clientCaFile`, the roots that certificates of clients \
                 lead to",
                asked.as_str()
            )),
            (Some(asked), _) => Ok(asked),
        }
    }
}

/// Whether clients of a door show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuth {
    /// None is asked for.
    None,
    /// One is asked for; a client without one is served as nobody, one with a bad one is not.
    Optional,
    /// A client without a good one is not served.
    Required,
}

impl ClientAuth {
    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// The section `tls` of a client, `clients.NAME.tls`. An empty section (`tls: {}`) checks the
/// server by the roots of the machine and shows no certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientTlsConfig {
    /// The roots that the certificate of the server must lead to, PEM; and no others. Default:
    /// those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, PEM, leaf first.
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate of the server must bear. Default: the host of the endpoint.
    pub server_name: Option<String>,
}

/// Where plaintext is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Plaintext {
    /// Inside this machine.
    #[default]
    Loopback,
    /// Anywhere: something outside the process protects the network. Said in the log at start.
    Allowed,
}

impl Plaintext {
    /// Whether plaintext may be spoken with, or at, the address.
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Allowed || address.to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(client_ca: Option<&str>, auth: Option<ClientAuth>) -> Result<ClientAuth, String> {
        let config = ServerTlsConfig {
            cert_file: "server.crt".into(),
            key_file: "server.key".into(),
            client_ca_file: client_ca.map(Into::into),
            client_auth: auth,
        };
        config.client_auth()
    }

    #[test]
    fn roots_for_clients_mean_that_clients_must_show_a_certificate() {
        assert_eq!(of(None, None), Ok(ClientAuth::None));
        assert_eq!(of(Some("ca.crt"), None), Ok(ClientAuth::Required));
        let optional = Some(ClientAuth::Optional);
        assert_eq!(of(Some("ca.crt"), optional), Ok(ClientAuth::Optional));
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_the_key_to_write() {
        let problem = of(None, Some(ClientAuth::Required)).unwrap_err();
        assert!(problem.contains("clientCaFile"), "{problem}");
        let problem = of(Some("ca.crt"), Some(ClientAuth::None)).unwrap_err();
        assert!(problem.contains("clientAuth: none"), "{problem}");
    }

    #[test]
    fn plaintext_stays_on_the_machine_unless_it_is_said() {
        for inside in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(
                Plaintext::Loopback.allows(inside.parse().unwrap()),
                "{inside}"
            );
        }
        for outside in ["0.0.0.0", "10.0.0.1", "::", "fe80::1"] {
            let address = outside.parse().unwrap();
            assert!(!Plaintext::Loopback.allows(address), "{outside}");
            assert!(Plaintext::Allowed.allows(address), "{outside}");
        }
    }
}
