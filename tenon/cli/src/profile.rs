//! `tenon profile`: takes a profile of a running service and writes it to a file, for people
//! without Go.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use ureq::{
    Agent, Body,
    http::{Response, Uri},
};

use crate::report;

/// Where services have their profiles.
const PATH: &str = "/debug/pprof/profile";
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// What the service may take besides the seconds that it samples: looking names up.
const WRITING: Duration = Duration::from_secs(60);
/// The largest profile that is read: the largest seen was below one megabyte.
const BYTES_MAX: u64 = 256 << 20;

/// What is asked for.
pub(crate) struct Order<'a> {
    pub(crate) url: &'a str,
    pub(crate) seconds: f64,
    pub(crate) out: &'a Path,
    /// A file with a token for `Authorization: Bearer`.
    pub(crate) token_file: Option<&'a Path>,
    /// With the frames of the runtime.
    pub(crate) full: bool,
}

/// Takes a profile and writes it.
///
/// # Errors
/// The service cannot be reached, refuses, or is none; the file cannot be written.
pub(crate) fn take(order: &Order<'_>) -> Result<()> {
    let (format, kind) = format_of(order.out)?;
    let target = Target::of(order.url)?;
    let authorization = target.authorization(order.token_file)?;
    if !(order.seconds.is_finite() && order.seconds > 0.0) {
        bail!(
            "`--seconds {}` is no time; expected a number above 0",
            order.seconds
        );
    }
    let full = if order.full { "&full=1" } else { "" };
    let url = format!(
        "{}?seconds={}&format={format}{full}",
        target.url, order.seconds
    );
    let mut request = agent(&target, order.seconds)?.get(url);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let shown = &target.url;
    report::tell(&format!("sampling {shown} for {} s", order.seconds));
    let mut response = request.call().map_err(|cause| unreachable(shown, cause))?;
    check(&mut response, shown, kind)?;
    let body = response
        .body_mut()
        .with_config()
        .limit(BYTES_MAX)
        .read_to_vec();
    let body = body.with_context(|| format!("the answer of {shown} broke off"))?;
    let out = order.out.display();
    fs::write(order.out, &body).with_context(|| format!("could not write {out}"))?;
    report::tell(&format!("{out}: {} KB", body.len().div_ceil(1000)));
    Ok(())
}

/// What the service calls the format of a file, and the content type that it answers with.
fn format_of(out: &Path) -> Result<(&'static str, &'static str)> {
    let name = out.to_string_lossy().to_lowercase();
    let extension = name.rsplit('.').next().unwrap_or_default();
    match extension {
        "svg" => Ok(("svg", "image/svg+xml")),
        "json" => Ok(("json", "application/json")),
        "folded" | "txt" => Ok(("folded", "text/plain")),
        "gz" | "pb" | "pprof" | "prof" => Ok(("pprof", "application/octet-stream")),
        _ => bail!(
            "`{name}` has no known ending; expected .svg (flame graph), .pb.gz (pprof), .folded or .json"
        ),
    }
}

/// Where a profile is asked for.
struct Target {
    /// Without user and password.
    url: String,
    is_https: bool,
    is_loopback: bool,
    /// `user:password` of the address.
    user: Option<String>,
}

impl Target {
    /// An address as people write it: the path, and `http://`, may be left out.
    fn of(url: &str) -> Result<Self> {
        let whole = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let refused = || format!("`{url}` is no address; expected one like http://127.0.0.1:8889");
        let uri: Uri = whole.parse().with_context(refused)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) =
            (uri.scheme_str(), uri.authority())
        else {
            bail!(refused());
        };
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority.as_str()),
        };
        let path = match uri.path() {
            "" | "/" | "/debug/pprof" | "/debug/pprof/" => PATH,
            path => path,
        };
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let address = name.parse::<std::net::IpAddr>();
        Ok(Self {
            url: format!("{scheme}://{host}{path}"),
            is_https: scheme == "https",
            is_loopback: name.eq_ignore_ascii_case("localhost")
                || address.is_ok_and(|address| address.is_loopback()),
            user,
        })
    }

    /// The header that proves who asks. A secret goes to this machine or through TLS only.
    fn authorization(&self, token_file: Option<&Path>) -> Result<Option<String>> {
        let value = match (token_file, &self.user) {
            (Some(_), Some(_)) => bail!("give a user in the address or --token-file, not both"),
            (Some(file), None) => {
                let token = fs::read_to_string(file);
                let token = token.with_context(|| format!("could not read {}", file.display()))?;
                format!("Bearer {}", token.trim())
            }
            (None, Some(user)) => format!("Basic {}", BASE64_STANDARD.encode(user)),
            (None, None) => return Ok(None),
        };
        if !self.is_https && !self.is_loopback {
            bail!("the password would be sent in the clear; use https, or a tunnel to 127.0.0.1");
        }
        Ok(Some(value))
    }
}

fn agent(target: &Target, seconds: f64) -> Result<Agent> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(Duration::try_from_secs_f64(seconds)? + WRITING))
        .user_agent(concat!("tenon/", env!("CARGO_PKG_VERSION")));
    if target.is_https {
        #[cfg(not(feature = "https"))]
        bail!(
            "this tenon was built without https; install it with --features https, or use a tunnel to 127.0.0.1"
        );
        #[cfg(feature = "https")]
        {
            let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let tls = ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .unversioned_rustls_crypto_provider(provider)
                .build();
            config = config.tls_config(tls);
        }
    }
    if target.is_loopback {
        config = config.proxy(None);
    }
    Ok(config.build().new_agent())
}

fn unreachable(url: &str, cause: ureq::Error) -> anyhow::Error {
    let advice = match &cause {
        ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
            "; nothing listens there: is the service running, and is this its admin address?"
        }
        _ => "",
    };
    anyhow::anyhow!("could not reach {url}: {cause}{advice}")
}

/// Whether the answer is a profile; otherwise what is the matter.
fn check(response: &mut Response<Body>, url: &str, kind: &str) -> Result<()> {
    let status = response.status().as_u16();
    let header = |name: &str| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    if status == 200 && header("content-type").starts_with(kind) {
        return Ok(());
    }
    let is_profiler = header("x-go-pprof") == "1";
    let text = response
        .body_mut()
        .with_config()
        .limit(4096)
        .read_to_string();
    let text = text.unwrap_or_default();
    let text = text.trim();
    match status {
        401 => bail!(
            "{url} wants a password: http://USER:PASSWORD@... for admin.auth.basic, --token-file for admin.auth.bearer"
        ),
        _ if is_profiler => bail!("{url} answered {status}: {text}"),
        _ => bail!(
            "{url} answered {status} and is not the admin server of a Tenon service; its address is admin.listen, usually port 8889"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for given in [
            "127.0.0.1:8889",
            "http://127.0.0.1:8889",
            "http://127.0.0.1:8889/",
            "http://127.0.0.1:8889/debug/pprof/",
            "http://127.0.0.1:8889/debug/pprof/profile",
        ] {
            let target = Target::of(given).unwrap();
            assert_eq!(target.url, "http://127.0.0.1:8889/debug/pprof/profile");
            assert!(target.is_loopback && !target.is_https);
        }
        for bad in ["ftp://a", "http://", "a b"] {
            assert!(Target::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_sent_in_the_clear() {
        let here = Target::of("http://u:p@localhost:8889").unwrap();
        assert_eq!(here.url, "http://localhost:8889/debug/pprof/profile");
        assert_eq!(
            here.authorization(None).unwrap().as_deref(),
            Some("Basic dTpw")
        );
        let there = Target::of("http://u:p@192.0.2.1:8889").unwrap();
        assert!(there.authorization(None).is_err());
        let there = Target::of("https://u:p@192.0.2.1:8889").unwrap();
        assert!(there.authorization(None).is_ok());
    }

    #[test]
    fn the_ending_says_which_format() {
        for (name, format) in [
            ("a/flame.svg", "svg"),
            ("cpu.pb.gz", "pprof"),
            ("x.FOLDED", "folded"),
        ] {
            assert_eq!(format_of(Path::new(name)).unwrap().0, format);
        }
        assert!(format_of(Path::new("flame.png")).is_err());
    }
}
