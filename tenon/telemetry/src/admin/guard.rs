//! Who may see what is not for everybody: peers on this machine, and operators who prove who they
//! are.

use axum::{extract::Request, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use tenon_auth::same_secret;
use tenon_core::config::{AdminAuth, ConfigError};
use tenon_net::Peer;

use super::{TEXT, page};

/// Headers by which a proxy says that it speaks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Decides who is admitted.
pub(super) struct Guard {
    credential: Option<Credential>,
}

/// What an operator must show after the scheme.
enum Credential {
    Basic(SecretString),
    Bearer(SecretString),
}

/// How somebody is sent away.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) challenge: Option<&'static str>,
    pub(super) text: &'static str,
}

impl Refused {
    pub(super) fn answer(&self) -> Response {
        let mut resp = page(self.status, TEXT, self.text);
        if let Some(challenge) = self.challenge {
            let challenge = HeaderValue::from_static(challenge);
            resp.headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        resp
    }
}

impl Guard {
    pub(super) fn new(auth: Option<AdminAuth>) -> Result<Self, ConfigError> {
        let credential = match auth {
            None => None,
            Some(AdminAuth::Basic { username, password }) => {
                if username.contains(':') {
                    let problem = "it must not hold a colon, which ends it in the header";
                    return Err(ConfigError::new("admin.auth.basic.username", problem));
                }
                refuse_empty("admin.auth.basic.password", &password)?;
                let pair = format!("{username}:{}", password.expose_secret());
                Some(Credential::Basic(pair.into()))
            }
            Some(AdminAuth::Bearer(token)) => {
                refuse_empty("admin.auth.bearer", &token)?;
                Some(Credential::Bearer(token))
            }
        };
        Ok(Self { credential })
    }

    /// Admits loopback peers and whoever shows the credential.
    pub(super) fn admit(&self, req: &Request) -> Result<(), Refused> {
        if is_on_this_machine(req) {
            return Ok(());
        }
        let Some(credential) = &self.credential else {
            return Err(Refused {
                status: StatusCode::FORBIDDEN,
                challenge: None,
                text: "only for peers on this machine; set admin.auth to admit others\n",
            });
        };
        if credential.is_shown(req.headers()) {
            return Ok(());
        }
        Err(Refused {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(credential.challenge()),
            text: "only with the credential of admin.auth\n",
        })
    }
}

impl Credential {
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        // Two of them would leave open which one counts.
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Some((scheme, shown)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        match self {
            Self::Basic(pair) if scheme.eq_ignore_ascii_case("basic") => BASE64_STANDARD
                .decode(shown)
                .is_ok_and(|shown| same_secret(&shown, pair.expose_secret().as_bytes())),
            Self::Bearer(token) if scheme.eq_ignore_ascii_case("bearer") => {
                same_secret(shown.as_bytes(), token.expose_secret().as_bytes())
            }
            _ => false,
        }
    }

    fn challenge(&self) -> &'static str {
        match self {
            Self::Basic(_) => "Basic realm=\"admin\", charset=\"UTF-8\"",
            Self::Bearer(_) => "Bearer realm=\"admin\"",
        }
    }
}

/// Whether the request was made on this machine, by the address of the socket alone.
///
/// A request that says it was forwarded was made elsewhere, and one for a foreign host name comes
/// from a web page that rebinds its name to loopback: neither gets the privilege.
fn is_on_this_machine(req: &Request) -> bool {
    let loopback = req
        .extensions()
        .get::<Peer>()
        .is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    let forwarded = FORWARDED
        .iter()
        .any(|name| req.headers().contains_key(*name));
    loopback && !forwarded && is_host_of_this_machine(req)
}

fn is_host_of_this_machine(req: &Request) -> bool {
    let Some(host) = req.headers().get(header::HOST) else {
        return true;
    };
    let authority = host.to_str().ok().and_then(|host| host.parse().ok());
    authority.is_some_and(|authority: http::uri::Authority| {
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
    })
}

fn refuse_empty(key: &str, secret: &SecretString) -> Result<(), ConfigError> {
    if secret.expose_secret().is_empty() {
        let problem = "it must not be empty; make one with `openssl rand -base64 32`";
        return Err(ConfigError::new(key, problem));
    }
    Ok(())
}
