//! The shapes in which a value is sent to a route: where it belongs, where it does not, and in
//! requests that are refused for every reason there is.

use serde_json::{Map, Value, json};

use crate::{
    canary::Canary,
    raw::{Ending, Raw, percent},
};

/// A body of this size is more than any route takes.
const TOO_LARGE: usize = 1_100_000;
/// A value that is longer than any member may be, within a body that is not too large.
const TOO_LONG: usize = 20_000;
/// A head of this size is more than the door takes.
const TOO_LONG_HEAD: usize = 80_000;

/// A request that a route takes, and what is planted in it.
pub(super) struct Case {
    /// The route as the contract writes it.
    pub(super) route: &'static str,
    pub(super) method: &'static str,
    /// Path and query of a request that fits.
    pub(super) path: String,
    /// Its body, where the route has one.
    pub(super) body: Option<Value>,
    /// The token of a caller who may.
    pub(super) token: String,
    /// The token of a caller who may not, where there is one.
    pub(super) denied: Option<String>,
    pub(super) canary: &'static Canary,
    pub(super) number: u32,
}

/// One way to plant a value.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// The only statuses that may answer it; 0 is a connection that was closed. None: whatever a
    /// request that fits is answered, or 400.
    pub(super) answered: &'static [u16],
    pub(super) requests: fn(&Case) -> Vec<Raw>,
}

const fn shape(
    name: &'static str,
    answered: &'static [u16],
    requests: fn(&Case) -> Vec<Raw>,
) -> Shape {
    Shape {
        name,
        answered,
        requests,
    }
}

/// For routes that have a body.
pub(super) const OF_BODIES: &[Shape] = &[
    shape("in its place", &[], |case| vec![case.json(&case.placed())]),
    shape("sent twice", &[], |case| {
        let placed = case.json(&case.placed());
        vec![placed.clone(), placed]
    }),
    shape("as an object", &[], |case| {
        vec![case.json(&case.with(json!({case.value(): case.value()})))]
    }),
    shape("as a list", &[], |case| {
        vec![case.json(&case.with(json!([case.value(), [case.value()]])))]
    }),
    shape("as every text", &[], |case| {
        let mut body = case.sample();
        overwrite(&mut body, &case.canary.stray(case.number));
        vec![case.json(&body)]
    }),
    shape("as the name of a member", &[], |case| {
        let mut body = case.sample();
        body[case.value()] = json!(1);
        vec![case.json(&body)]
    }),
    shape("with control characters", &[], |case| {
        let value = format!("{}\u{0}\u{7}\u{1b}[31m\n", case.value());
        vec![case.json(&case.with(json!(value)))]
    }),
    shape("as one member twice", &[], |case| {
        let (member, sample) = (case.member(&case.value()), case.sample().to_string());
        vec![case.text(format!("{{{member},{member},{}", &sample[1..]))]
    }),
    shape("too long a value", &[], |case| {
        let value = case.value().repeat(TOO_LONG / case.value().len());
        vec![case.json(&case.with(json!(value)))]
    }),
    shape("refused in Chinese", &[], |case| {
        let raw = case.json(&case.with(json!([case.value()])));
        vec![raw.header("Accept-Language", "zh-CN")]
    }),
    shape("without quotes", &[400], |case| {
        let (name, value) = (case.canary.name, case.value());
        vec![case.text(format!("{{\"{name}\": {value} {value}}}"))]
    }),
    shape("a bare text", &[400], |case| vec![case.text(case.value())]),
    shape("only a text", &[400], |case| {
        vec![case.text(json!(case.value()).to_string())]
    }),
    shape("only a list", &[400], |case| {
        vec![case.text(json!([case.value()]).to_string())]
    }),
    shape("cut JSON", &[400], |case| {
        vec![case.text(format!("{{{}", case.member(&case.value())))]
    }),
    shape("more after the end", &[400], |case| {
        vec![case.text(format!("{} {}", case.placed(), case.value()))]
    }),
    shape("a bad escape", &[400], |case| {
        vec![case.text(format!(
            "{{\"{}\": \"{}\\q\"}}",
            case.canary.name,
            case.value()
        ))]
    }),
    shape("no UTF-8", &[400], |case| {
        let text = format!("{{\"{}\": \"{}", case.canary.name, case.value());
        vec![case.bytes([text.as_bytes(), b"\xff\"}"].concat())]
    }),
    shape("too deep", &[400], |case| {
        let (open, close) = ("[".repeat(300), "]".repeat(300));
        vec![case.text(format!("{open}{}{close}", json!(case.value())))]
    }),
    shape("no packed bytes", &[400], |case| {
        let mut body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
        body.extend_from_slice(case.placed().to_string().as_bytes());
        vec![case.bytes(body).header("Content-Encoding", "gzip")]
    }),
    shape("another media type", &[415], |case| {
        vec![
            case.json(&case.placed())
                .header("Content-Type", "text/plain"),
        ]
    }),
    shape("as the media type", &[415], |case| {
        vec![
            case.json(&case.placed())
                .header("Content-Type", format!("application/{}", case.value())),
        ]
    }),
    shape("as the character set", &[400, 415], |case| {
        let value = format!("application/json; charset={}", case.value());
        vec![case.json(&case.placed()).header("Content-Type", value)]
    }),
    shape("as the encoding", &[415], |case| {
        vec![
            case.json(&case.placed())
                .header("Content-Encoding", case.value()),
        ]
    }),
    shape("as a form", &[415], |case| {
        let form = format!("{}={}", case.canary.name, percent(&case.value()));
        vec![
            case.text(form)
                .header("Content-Type", "application/x-www-form-urlencoded"),
        ]
    }),
    shape("too large a body", &[413], |case| {
        let value = case.value().repeat(TOO_LARGE / case.value().len());
        vec![case.json(&case.with(json!(value)))]
    }),
    shape("a cut body", &[0, 400], |case| {
        vec![Raw {
            ending: Ending::Cut,
            ..case.json(&case.placed())
        }]
    }),
    shape("broken chunks", &[0, 400, 499], |case| {
        vec![Raw {
            ending: Ending::BrokenChunks,
            ..case.json(&case.placed())
        }]
    }),
];

/// For all routes. What has a body has it with the value in its place.
pub(super) const OF_ALL: &[Shape] = &[
    shape("in the path", &[404, 405], |case| {
        let value = percent(&case.value());
        let path = case.route.split(' ').nth(1).unwrap_or_default();
        let filled = path.split('/').map(|part| match part.starts_with('{') {
            true => value.as_str(),
            false => part,
        });
        let filled: Vec<&str> = filled.collect();
        let target = match path.contains('{') {
            true => filled.join("/"),
            false => format!("{path}/{value}"),
        };
        vec![Raw {
            target,
            ..case.placed_raw()
        }]
    }),
    shape("behind the path", &[404], |case| {
        let value = percent(&case.value());
        let path = case.path.split('?').next().unwrap_or_default();
        vec![Raw {
            target: format!("{path}/{value}/{value}/{value}"),
            ..case.placed_raw()
        }]
    }),
    shape("in a filter", &[], |case| {
        let value = percent(&case.value());
        vec![case.asked(&format!("trialId={value}&subjectId={value}&status={value}"))]
    }),
    shape("as a cursor", &[], |case| {
        vec![case.asked(&format!("cursor={}", percent(&case.value())))]
    }),
    shape("as a limit", &[], |case| {
        vec![case.asked(&format!("limit={}", percent(&case.value())))]
    }),
    shape("as a parameter of its own", &[], |case| {
        vec![case.asked(&format!("{}={}", case.canary.name, percent(&case.value())))]
    }),
    shape("as the name of a parameter", &[], |case| {
        vec![case.asked(&format!("{}=1", percent(&case.value())))]
    }),
    shape("in headers that nobody reads", &[], |case| {
        let headers = [
            "X-Name",
            "User-Agent",
            "Referer",
            "Cookie",
            "X-Request-Id",
            "Idempotency-Key",
            "Origin",
            "From",
            "If-None-Match",
            "Baggage",
        ];
        let raw = case.placed_raw();
        vec![
            headers
                .iter()
                .fold(raw, |raw, name| raw.header(name, case.value())),
        ]
    }),
    shape("in headers that are read", &[], |case| {
        let headers = [
            "Accept",
            "Accept-Language",
            "Accept-Encoding",
            "Traceparent",
            "X-Request-Timeout-Ms",
            "Grpc-Timeout",
            "X-Forwarded-For",
            "Forwarded",
            "Last-Event-Id",
        ];
        let raw = case.placed_raw();
        vec![
            headers
                .iter()
                .fold(raw, |raw, name| raw.header(name, case.value())),
        ]
    }),
    shape("as the name of a header", &[], |case| {
        vec![case.placed_raw().header(&case.canary.word(), case.value())]
    }),
    shape("as the host", &[], |case| {
        vec![case.placed_raw().header("Host", case.value())]
    }),
    shape("as the method", &[405], |case| {
        vec![Raw {
            method: case.canary.word(),
            ..case.placed_raw()
        }]
    }),
    shape("another method", &[405], |case| {
        vec![Raw {
            method: "DELETE".to_owned(),
            ..case.placed_raw()
        }]
    }),
    shape("a header without a colon", &[400], |case| {
        vec![
            case.placed_raw()
                .header(&format!("X {}", case.value()), case.value()),
        ]
    }),
    shape("too long a path", &[404, 414, 431], |case| {
        let value = percent(&case.value());
        let target = format!(
            "{}/{}",
            case.path,
            value.repeat(TOO_LONG_HEAD / value.len())
        );
        vec![Raw {
            target,
            ..case.placed_raw()
        }]
    }),
    shape("too long a header", &[431], |case| {
        let value = case.value().repeat(TOO_LONG_HEAD / case.value().len());
        vec![case.placed_raw().header("X-Name", value)]
    }),
    shape("as the token", &[401], |case| {
        vec![
            case.placed_raw()
                .header("Authorization", format!("Bearer {}", case.value())),
        ]
    }),
    shape("as a token of nobody", &[401], |case| {
        let part = |value: Value| base64(&value.to_string());
        let claims = json!({"sub": case.value(), "name": case.value(), "exp": case.value(), "iss": case.value()});
        let (head, claims) = (
            part(json!({"alg": "EdDSA", "kid": case.value()})),
            part(claims),
        );
        vec![case.placed_raw().header(
            "Authorization",
            format!("Bearer {head}.{claims}.{}", "A".repeat(86)),
        )]
    }),
    shape("as user and password", &[401], |case| {
        let pair = base64(&format!("{0}:{0}", case.value()));
        vec![
            case.placed_raw()
                .header("Authorization", format!("Basic {pair}")),
        ]
    }),
    shape("without a token", &[401], |case| {
        let mut raw = case.placed_raw();
        raw.headers.retain(|(name, _)| name != "Authorization");
        vec![raw]
    }),
    shape("by one who may not", &[403], |case| {
        let denied = case.denied.iter();
        let raw = |token| {
            case.placed_raw()
                .header("Authorization", format!("Bearer {token}"))
        };
        denied.map(raw).collect()
    }),
];

impl Case {
    /// The name of a site is no person's, and is shown to all who see the site.
    fn value(&self) -> String {
        let is_shown = self.canary.name == "name" && self.route.ends_with("/site");
        match is_shown {
            true => self.canary.stray(self.number),
            false => self.canary.value(self.number),
        }
    }

    fn sample(&self) -> Value {
        self.body
            .clone()
            .unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// The body with this in place of the value.
    fn with(&self, value: Value) -> Value {
        let mut body = self.sample();
        // An answer lies deeper than the other members do.
        match body.pointer_mut("/item/0/answer/0") {
            Some(answer) if self.canary.name == "answer" => {
                *answer = json!({ "valueString": value })
            }
            _ => body[self.canary.name] = value,
        }
        body
    }

    /// The body with the value where it belongs.
    fn placed(&self) -> Value {
        self.with(json!(self.value()))
    }

    fn member(&self, value: &str) -> String {
        format!("\"{}\":{}", self.canary.name, json!(value))
    }

    fn bytes(&self, body: Vec<u8>) -> Raw {
        let raw = Raw {
            method: self.method.to_owned(),
            target: self.path.clone(),
            headers: Vec::new(),
            body: Some(body),
            ending: Ending::Whole,
        };
        let raw = raw.header("Host", "cohort.test");
        let raw = raw.header("Content-Type", "application/json");
        raw.header("Authorization", format!("Bearer {}", self.token))
    }

    fn text(&self, body: String) -> Raw {
        self.bytes(body.into_bytes())
    }

    fn json(&self, body: &Value) -> Raw {
        self.text(body.to_string())
    }

    /// A request that fits, with the value in its body if it has one.
    fn placed_raw(&self) -> Raw {
        let raw = self.json(&self.placed());
        match self.body {
            Some(_) => raw,
            None => Raw { body: None, ..raw },
        }
    }

    fn asked(&self, query: &str) -> Raw {
        let path = self.path.split('?').next().unwrap_or_default();
        Raw {
            target: format!("{path}?{query}"),
            ..self.placed_raw()
        }
    }
}

/// Puts a text in place of every text.
fn overwrite(value: &mut Value, text: &str) {
    match value {
        Value::String(old) => text.clone_into(old),
        Value::Array(entries) => entries.iter_mut().for_each(|entry| overwrite(entry, text)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| overwrite(member, text)),
        _ => {}
    }
}

fn base64(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}
