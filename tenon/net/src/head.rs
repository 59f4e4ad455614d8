//! Heads of requests that hyper takes and a server must not: RFC 9112 asks for more than a parser
//! of lines checks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::{HeaderMap, Request, StatusCode, Version, header, uri::Authority};
use tenon_core::config::Sizes;

/// How large heads of requests may be. Clones are one, and may be changed while connections are
/// open: a new limit of targets holds from the next request on, one of heads from the next
/// connection on.
#[derive(Debug, Clone)]
pub struct HeadLimits {
    sizes: Arc<[AtomicUsize; 2]>,
}

impl HeadLimits {
    /// Heads of at most `head_bytes`, with a path and query of at most `uri_bytes`, which are told
    /// apart from a head that is too large.
    pub fn new(head_bytes: usize, uri_bytes: usize) -> Self {
        let sizes = [head_bytes, uri_bytes].map(AtomicUsize::new);
        Self {
            sizes: Arc::new(sizes),
        }
    }

    /// Changes them.
    pub fn set(&self, head_bytes: usize, uri_bytes: usize) {
        self.sizes[0].store(head_bytes, Relaxed);
        self.sizes[1].store(uri_bytes, Relaxed);
    }

    pub(crate) fn head_bytes(&self) -> usize {
        self.sizes[0].load(Relaxed)
    }

    pub(crate) fn uri_bytes(&self) -> usize {
        self.sizes[1].load(Relaxed)
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        let sizes = Sizes::default();
        Self::new(sizes.head_bytes, sizes.uri_bytes)
    }
}

/// Why a request is refused before any service sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) problem: &'static str,
}

/// What is wrong with the head of an HTTP/1 request.
pub(crate) fn refusal<B>(request: &Request<B>, uri_bytes: usize) -> Option<Refusal> {
    let refuse = |status, problem| Some(Refusal { status, problem });
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > uri_bytes) {
        return refuse(
            StatusCode::URI_TOO_LONG,
            "its path and query are larger than maxUriBytes",
        );
    }
    // hyper has seen to it that `chunked` is the last of them, so that the end of the body is
    // known; what the others did to it, nobody here undoes.
    if codings(request.headers()) > 1 {
        let problem = "its body is coded in more ways than chunked";
        return refuse(StatusCode::NOT_IMPLEMENTED, problem);
    }
    if !is_addressed(request.version(), request.headers()) {
        let problem = "it must have one host header that is host or host:port";
        return refuse(StatusCode::BAD_REQUEST, problem);
    }
    None
}

fn codings(headers: &HeaderMap) -> usize {
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter(|name| !name.trim_ascii().is_empty()).count()
}

/// One `Host`, which HTTP/1.0 may leave out (RFC 9112, section 3.2): two would let a proxy before
/// us and us disagree on where a request goes.
fn is_addressed(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => {
            host.is_empty()
                || host
                    .to_str()
                    .is_ok_and(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
        }
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: http::request::Builder) -> Option<u16> {
        refusal(&request.body(()).unwrap(), 100).map(|refusal| refusal.status.as_u16())
    }

    fn to(hosts: &[&str]) -> http::request::Builder {
        let request = Request::get("/");
        hosts
            .iter()
            .fold(request, |request, host| request.header("host", *host))
    }

    #[test]
    fn one_host_is_demanded() {
        for good in ["a", "a:80", "127.0.0.1:8080", "[::1]:8080", ""] {
            assert_eq!(status(to(&[good])), None, "{good}");
        }
        for bad in ["a b", "u@a", "a/b", "a:b:c", "http://a"] {
            assert_eq!(status(to(&[bad])), Some(400), "{bad}");
        }
        assert_eq!(status(to(&[])), Some(400));
        assert_eq!(status(to(&["a", "a"])), Some(400));
        assert_eq!(status(to(&[]).version(Version::HTTP_10)), None);
    }

    #[test]
    fn a_target_has_a_limit() {
        let long = |bytes: usize| to(&["a"]).uri(format!("/?{}", "q".repeat(bytes - 2)));
        assert_eq!(status(long(100)), None);
        assert_eq!(status(long(101)), Some(414));
    }

    #[test]
    fn a_body_is_coded_once() {
        let coded = |coding| status(to(&["a"]).header("transfer-encoding", coding));
        assert_eq!(coded("chunked"), None);
        assert_eq!(coded("gzip, chunked"), Some(501));
        let twice = to(&["a"])
            .header("transfer-encoding", "gzip")
            .header("transfer-encoding", "chunked");
        assert_eq!(status(twice), Some(501));
    }
}
