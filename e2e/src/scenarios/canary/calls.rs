//! The same over gRPC, past the gateway: in messages, in heads, as the name of a method. And over
//! the door of the progress service, which asks for no token.

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Actor, Raw, Tally};
use crate::{
    canary::{self, Canary},
    raw::{Ending, percent},
    scenarios::rpc_access,
    table,
    world::{SERVICES, World},
};

/// The most fields that a request message has.
const FIELDS_MAX: u8 = 3;

/// A way to plant a value in a call.
struct Shape {
    name: &'static str,
    make: fn(Call) -> Call,
}

/// A call in the making.
struct Call {
    canary: &'static Canary,
    path: String,
    headers: Vec<(&'static str, String)>,
    /// With the five bytes before the message.
    body: Vec<u8>,
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "in every field",
        make: |call| call,
    },
    Shape {
        name: "in no field",
        make: |call| Call {
            body: framed(call.value().as_bytes()),
            ..call
        },
    },
    Shape {
        name: "in a cut message",
        make: |mut call| {
            call.body.truncate(call.body.len() - 3);
            call
        },
    },
    Shape {
        name: "as if packed",
        make: |mut call| {
            call.body[0] = 1;
            call
        },
    },
    Shape {
        name: "without a frame",
        make: |call| Call {
            body: call.value().into_bytes(),
            ..call
        },
    },
    Shape {
        name: "as the method",
        make: |call| Call {
            path: format!("{}{}", call.path, percent(&call.value())),
            ..call
        },
    },
    Shape {
        name: "in heads",
        make: |call| {
            let names = [
                "x-name",
                "user-agent",
                "grpc-timeout",
                "grpc-encoding",
                "grpc-accept-encoding",
                "traceparent",
                "accept-language",
            ];
            names.into_iter().fold(call, |call, name| {
                let value = call.value();
                call.header(name, value)
            })
        },
    },
    Shape {
        name: "as the content type",
        make: |call| {
            let value = format!("application/{}", call.value());
            call.header("content-type", value)
        },
    },
    Shape {
        name: "as the token",
        make: |call| {
            let value = format!("Bearer {}", call.value());
            call.header("authorization", value)
        },
    },
    Shape {
        name: "without a token",
        make: |mut call| {
            call.headers.retain(|(name, _)| *name != "authorization");
            call
        },
    },
];

/// Calls every method of every service with every canary in every shape, where there is a door.
pub(super) async fn storm(world: &World, tally: &Tally) {
    progress(world, tally).await;
    if !world.is_split() {
        return;
    }
    let token = world.cast().await.token(Actor::Coordinator);
    for service in SERVICES {
        let address = world.ports().address(&format!("{service}.rpc"));
        let mut connection = connect(&address).await;
        let rows = table::read(rpc_access::TABLE);
        let mut methods: Vec<&str> = rows.iter().map(|row| row.route).collect();
        methods.retain(|method| method.starts_with(&format!("{service}.")));
        methods.dedup();
        assert!(!methods.is_empty(), "{service} has no method");
        for method in methods {
            let mut refused = 0;
            for shape in SHAPES {
                for canary in &canary::ALL {
                    let call = (shape.make)(Call::new(canary, method, token));
                    let answer = call.send(&mut connection, &address).await;
                    refused += usize::from(!crate::secrets::contains(
                        &answer,
                        b"\"grpc-status\": \"0\"",
                    ));
                    tally.called(method, shape.name, &answer);
                }
            }
            assert!(
                refused >= SHAPES.len() / 2 * canary::ALL.len(),
                "{method} refuses {refused}"
            );
        }
    }
}

/// The door of the progress service.
async fn progress(world: &World, tally: &Tally) {
    let address = world.ports().address("progress.rest");
    for canary in &canary::ALL {
        let value = percent(&canary.value(1));
        for target in [
            format!("/api/v1/trial/{value}/progress"),
            format!("/api/v1/trial/x/progress?{value}={value}"),
            format!("/{value}"),
        ] {
            let request = Raw {
                method: "GET".to_owned(),
                target,
                headers: vec![
                    ("Host".to_owned(), canary.value(1)),
                    ("X-Name".to_owned(), canary.value(1)),
                ],
                body: None,
                ending: Ending::Whole,
            };
            let answer = request.send(&address).await;
            if ![Some(400), Some(404)].contains(&answer.status()) {
                tally.surprise(
                    "the progress service".to_owned(),
                    format!("{:?} {}", answer.status(), request.target),
                );
            }
            tally.called("progress", "over HTTP", &answer.0);
        }
    }
}

impl Call {
    fn new(canary: &'static Canary, method: &str, token: &str) -> Self {
        let value = canary.value(7);
        let mut message = Vec::new();
        for field in 1..=FIELDS_MAX {
            // A text: its number, its length, itself.
            message.push(field << 3 | 2);
            message.push(u8::try_from(value.len()).unwrap());
            message.extend_from_slice(value.as_bytes());
        }
        Self {
            canary,
            path: format!("/{method}"),
            headers: vec![
                ("te", "trailers".to_owned()),
                ("content-type", "application/grpc".to_owned()),
                ("authorization", format!("Bearer {token}")),
            ],
            body: framed(&message),
        }
    }

    fn value(&self) -> String {
        self.canary.value(7)
    }

    fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Everything that comes back: head, message and trailers.
    async fn send(self, connection: &mut SendRequest<Full<Bytes>>, address: &str) -> Vec<u8> {
        let mut request = Request::post(format!("http://{address}{}", self.path));
        for (name, value) in self.headers {
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let request = request.body(Full::from(self.body)).unwrap();
        if connection.ready().await.is_err() {
            *connection = connect(address).await;
        }
        let response = match connection.send_request(request).await {
            Ok(response) => response,
            Err(cause) => return format!("{cause:?}").into_bytes(),
        };
        let (head, body) = response.into_parts();
        let mut all = format!("{head:?}").into_bytes();
        match body.collect().await {
            Ok(body) => {
                all.extend_from_slice(format!("{:?}", body.trailers()).as_bytes());
                all.extend_from_slice(&body.to_bytes());
            }
            Err(cause) => all.extend_from_slice(format!("{cause:?}").as_bytes()),
        }
        all
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
        .await
        .unwrap();
    // It breaks when a call breaks it, and is made anew.
    tokio::spawn(connection);
    sender
}
