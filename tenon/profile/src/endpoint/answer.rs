//! Responses as `go tool pprof` expects them: it shows the text of an error only behind the header
//! `X-Go-Pprof`.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::query::Format;
use crate::{flame, pprof, profile::Profile, tree};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");
/// The flame graph zooms by the script that stands in it; the index has a style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A whole response.
pub(super) type Answer = Response<Vec<u8>>;

/// Text that is no error.
pub(super) fn text(text: impl Into<Vec<u8>>) -> Answer {
    page(StatusCode::OK, TEXT, text.into())
}

/// A page for a browser.
pub(super) fn html(text: String) -> Answer {
    page(StatusCode::OK, HTML, text.into_bytes())
}

/// An error that the tool shows.
pub(super) fn error(status: StatusCode, text: impl std::fmt::Display) -> Answer {
    let mut answer = page(status, TEXT, format!("{text}\n").into_bytes());
    answer
        .headers_mut()
        .insert(GO_PPROF, HeaderValue::from_static("1"));
    answer
}

/// An error to return early with.
pub(super) fn refuse(status: StatusCode, text: impl std::fmt::Display) -> Box<Answer> {
    Box::new(error(status, text))
}

/// A profile in the format that was asked for; `name` is what a browser calls the file.
pub(super) fn profile(profile: &Profile, format: Format, name: &str) -> Answer {
    match format {
        Format::Pprof => {
            let mut answer = page(
                StatusCode::OK,
                "application/octet-stream",
                pprof::write(profile),
            );
            let disposition = format!("attachment; filename=\"{name}\"");
            if let Ok(disposition) = disposition.parse() {
                answer
                    .headers_mut()
                    .insert(header::CONTENT_DISPOSITION, disposition);
            }
            answer
        }
        Format::Svg => {
            let kind = profile
                .types
                .iter()
                .find(|(kind, _)| *kind == profile.default_type);
            let unit = kind.map_or("count", |(_, unit)| unit);
            let svg = flame::draw(&tree::of(profile), &title(profile, name), unit);
            page(StatusCode::OK, "image/svg+xml", svg.into_bytes())
        }
        Format::Folded => text(tree::folded(profile)),
        Format::Json => match serde_json::to_vec(&tree::of(profile)) {
            Ok(json) => page(StatusCode::OK, "application/json", json),
            Err(cause) => error(StatusCode::INTERNAL_SERVER_ERROR, cause),
        },
    }
}

fn title(profile: &Profile, name: &str) -> String {
    let program = profile
        .images
        .first()
        .map_or("program", |image| image.short_name());
    let seconds = profile.duration_nanos as f64 / 1e9;
    let window = if profile.duration_nanos > 0 {
        format!(" of {seconds:.1} s")
    } else {
        String::new()
    };
    format!("{program}: {name}{window}")
}

fn page(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    for (name, value) in headers {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
