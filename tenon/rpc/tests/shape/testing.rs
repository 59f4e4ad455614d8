//! `grpc.testing.TestService`, by which implementations of gRPC are held against each other
//! (grpc/grpc, doc/interop-test-descriptions.md), and its messages.

use std::time::Duration;

use tenon_core::{Code, Context, Error, Messages, Result};
use tenon_rpc::{Method, Service};

/// `message Payload`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    /// `type`
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// `body`
    #[prost(bytes = "vec", tag = "2")]
    pub body: Vec<u8>,
}

/// `message EchoStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoStatus {
    /// `code`
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// `message`
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `message SimpleRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct SimpleRequest {
    /// `response_size`
    #[prost(int32, tag = "2")]
    pub response_size: i32,
    /// `payload`
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Payload>,
    /// `response_status`
    #[prost(message, optional, tag = "7")]
    pub response_status: Option<EchoStatus>,
}

/// `message SimpleResponse` and `message StreamingOutputCallResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct WithPayload {
    /// `payload`
    #[prost(message, optional, tag = "1")]
    pub payload: Option<Payload>,
}

/// `message StreamingInputCallResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Aggregated {
    /// `aggregated_payload_size`
    #[prost(int32, tag = "1")]
    pub size: i32,
}

/// `message ResponseParameters`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResponseParameters {
    /// `size`
    #[prost(int32, tag = "1")]
    pub size: i32,
    /// `interval_us`
    #[prost(int32, tag = "2")]
    pub interval_us: i32,
}

/// `message StreamingOutputCallRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct OutputRequest {
    /// `response_parameters`
    #[prost(message, repeated, tag = "2")]
    pub response_parameters: Vec<ResponseParameters>,
    /// `payload`
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Payload>,
    /// `response_status`
    #[prost(message, optional, tag = "7")]
    pub response_status: Option<EchoStatus>,
}

static EMPTY: Method = Method::new("/grpc.testing.TestService/EmptyCall");
static UNARY: Method = Method::new("/grpc.testing.TestService/UnaryCall");
static INPUT: Method = Method::new("/grpc.testing.TestService/StreamingInputCall");
static OUTPUT: Method = Method::new("/grpc.testing.TestService/StreamingOutputCall");
static DUPLEX: Method = Method::new("/grpc.testing.TestService/FullDuplexCall");

fn payload(size: i32) -> WithPayload {
    let body = vec![0; usize::try_from(size).unwrap_or_default()];
    WithPayload {
        payload: Some(Payload { kind: 0, body }),
    }
}

/// The status that the caller asked for.
fn asked(status: Option<EchoStatus>) -> Result<()> {
    match status.filter(|status| status.code != 0) {
        None => Ok(()),
        Some(status) => {
            let code = Code::from_number(status.code);
            let text = status.message;
            Err(Error::remote("ECHO".to_owned(), code, text.clone(), text))
        }
    }
}

async fn input(mut requests: Messages<WithPayload>) -> Result<Aggregated> {
    let mut size = 0;
    while let Some(request) = requests.try_next().await? {
        size += request.payload.map_or(0, |payload| payload.body.len());
    }
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    Ok(Aggregated { size })
}

fn output(requests: Messages<OutputRequest>) -> Messages<WithPayload> {
    let mut requests = requests;
    Messages::produce(async move |out| {
        while let Some(request) = requests.try_next().await? {
            asked(request.response_status)?;
            for parameters in request.response_parameters {
                let wait = u64::try_from(parameters.interval_us).unwrap_or_default();
                tokio::time::sleep(Duration::from_micros(wait)).await;
                out.send(payload(parameters.size)).await?;
            }
        }
        Ok(())
    })
}

/// The service.
pub fn service() -> Service {
    Service::builder("grpc.testing.TestService", ())
        .unary(&EMPTY, |_, _, _req: ()| async { Ok(()) })
        .unary(&UNARY, |_, _, req: SimpleRequest| async move {
            asked(req.response_status)?;
            Ok(payload(req.response_size))
        })
        .client_stream(&INPUT, |_, _, requests| input(requests))
        .server_stream(&OUTPUT, |_, _: Context, req| async move {
            Ok(output(Messages::list([req])))
        })
        .bidi(
            &DUPLEX,
            |_, _, requests| async move { Ok(output(requests)) },
        )
        .build()
}
