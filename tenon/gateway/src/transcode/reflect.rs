//! The contract of a service, asked of itself: gRPC server reflection, version 1, and the alpha
//! where a server has only that.
//!
//! Source: `grpc/reflection/v1/reflection.proto`. The two versions differ in their names alone.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use tenon_core::{Code, Context, Error, Messages, Result};
use tenon_rpc::{Channel, Method};

static V1: Method = Method::new("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
static V1_ALPHA: Method =
    Method::new("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");

/// How many files a contract may have: those of all of Google's public APIs are some thousands,
/// and a server that invents names without end is not asked for ever.
const FILES_MAX: usize = 10_000;

/// What a gateway never opens: the services of gRPC itself.
const OF_GRPC: &str = "grpc.";

/// Asks a service for its whole contract.
///
/// # Errors
/// The service cannot be reached, has no reflection, or answers what is no contract.
pub(crate) async fn contract(cx: &Context, channel: &Channel) -> Result<DescriptorPool> {
    let mut asked = Asked::new(cx, channel).await?;
    let names: Vec<String> = asked
        .services
        .iter()
        .filter(|name| !name.starts_with(OF_GRPC))
        .cloned()
        .collect();
    for name in names {
        asked.files(Ask::FileContainingSymbol(name)).await?;
    }
    asked.imports().await?;
    asked.pool()
}

/// What was learnt so far.
struct Asked<'a> {
    cx: &'a Context,
    channel: &'a Channel,
    method: &'static Method,
    services: Vec<String>,
    /// Files as they came, by their names: their options hold what only the bytes keep.
    files: BTreeMap<String, (FileDescriptorProto, Bytes)>,
}

impl<'a> Asked<'a> {
    async fn new(cx: &'a Context, channel: &'a Channel) -> Result<Self> {
        let mut asked = Self {
            cx,
            channel,
            method: &V1,
            services: Vec::new(),
            files: BTreeMap::new(),
        };
        let answer = match asked.ask(Ask::ListServices(String::new())).await {
            Err(error) if error.status() == Code::Unimplemented => {
                asked.method = &V1_ALPHA;
                asked.ask(Ask::ListServices(String::new())).await?
            }
            other => other?,
        };
        let Answer::ListServices(list) = answer else {
            return Err(odd("it did not list its services"));
        };
        asked.services = list.service.into_iter().map(|one| one.name).collect();
        Ok(asked)
    }

    async fn files(&mut self, ask: Ask) -> Result<()> {
        let Answer::Files(answer) = self.ask(ask).await? else {
            return Err(odd("it did not answer with files"));
        };
        for bytes in answer.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice())
                .map_err(|cause| odd("a file of its contract is damaged").cause(cause))?;
            self.files
                .insert(file.name().to_owned(), (file, bytes.into()));
        }
        Ok(())
    }

    /// Some servers send a file with all that it imports, some alone.
    async fn imports(&mut self) -> Result<()> {
        loop {
            let imported = self.files.values().flat_map(|(file, _)| &file.dependency);
            let missing: BTreeSet<String> = imported
                .filter(|name| !self.files.contains_key(*name))
                .cloned()
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            if self.files.len() + missing.len() > FILES_MAX {
                return Err(odd("its contract has too many files"));
            }
            for name in missing {
                self.files(Ask::FileByFilename(name.clone())).await?;
                if !self.files.contains_key(&name) {
                    return Err(odd("it imports a file that it does not have"));
                }
            }
        }
    }

    fn pool(self) -> Result<DescriptorPool> {
        let mut set = Vec::new();
        for (_, bytes) in self.files.values() {
            // `google.protobuf.FileDescriptorSet.file` is field 1.
            prost::encoding::bytes::encode(1, bytes, &mut set);
        }
        DescriptorPool::decode(set.as_slice())
            .map_err(|cause| odd("its contract does not hold together").cause(cause))
    }

    /// One question on a stream of its own: contracts are asked for rarely.
    async fn ask(&self, ask: Ask) -> Result<Answer> {
        let request = Request {
            host: String::new(),
            ask: Some(ask),
        };
        let requests = Messages::list([Bytes::from(request.encode_to_vec())]);
        let mut replies = self
            .channel
            .bidi_bytes(self.cx, self.method, requests)
            .await?;
        let reply = replies
            .try_next()
            .await?
            .ok_or_else(|| odd("it answered nothing"))?;
        let reply =
            Response::decode(reply).map_err(|cause| odd("its answer is damaged").cause(cause))?;
        match reply.answer {
            Some(Answer::Error(error)) => {
                let told = format!(
                    "it answered with code {}: {}",
                    error.error_code, error.error_message
                );
                Err(odd("it refused a question").cause(told))
            }
            Some(answer) => Ok(answer),
            None => Err(odd("its answer is empty")),
        }
    }
}

fn odd(problem: &'static str) -> Error {
    Error::internal("learn the contract of a service", problem)
}

/// `ServerReflectionRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(oneof = "Ask", tags = "3, 4, 7")]
    ask: Option<Ask>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Ask {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

/// `ServerReflectionResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(oneof = "Answer", tags = "4, 6, 7")]
    answer: Option<Answer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Answer {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "6")]
    ListServices(List),
    #[prost(message, tag = "7")]
    Error(Refusal),
}

/// `FileDescriptorResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file_descriptor_proto: Vec<Vec<u8>>,
}

/// `ListServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Named>,
}

/// `ServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// `ErrorResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Refusal {
    #[prost(int32, tag = "1")]
    error_code: i32,
    #[prost(string, tag = "2")]
    error_message: String,
}
