//! gRPC reflection, versions 1 and 1alpha: what a door serves, told to tools such as `buf curl`.
//!
//! The descriptors are those that generated contracts carry. Who may ask is decided by the door
//! ([`tenon_core::config::Reflection`]): to everybody else the services are not there.

mod index;
mod messages;

use std::sync::Arc;

use bytes::Bytes;
use tenon_core::{Code, Messages};

use crate::{Method, Service, health};
use index::Index;
use messages::{
    Ask, ErrorResponse, ExtensionNumbers, Files, Named, Request, Response, Said, Services,
};

/// The names of the service, by version.
pub(crate) const V1_NAME: &str = "grpc.reflection.v1.ServerReflection";
pub(crate) const V1_ALPHA_NAME: &str = "grpc.reflection.v1alpha.ServerReflection";

static V1: Method = Method::new("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
static V1_ALPHA: Method =
    Method::new("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");

/// The descriptors of what this crate serves itself.
fn own() -> Bytes {
    let text = include_str!("reflection/descriptor.txt");
    let service = Service::builder(health::NAME, ()).descriptor_text(text);
    service.build().descriptor()
}

/// Both versions, over what these services say of themselves.
pub(crate) fn services(served: &[Service]) -> [Service; 2] {
    let methods = [&V1, &V1_ALPHA];
    let mut names: Vec<String> = served
        .iter()
        .map(Service::name)
        .chain([health::NAME])
        .chain(methods.map(Method::service))
        .map(str::to_owned)
        .collect();
    names.sort();
    let mut index = Index::default();
    for set in served.iter().map(Service::descriptor).chain([own()]) {
        index.add(set);
    }
    let told = Arc::new(Told { names, index });
    [(&V1, V1_NAME), (&V1_ALPHA, V1_ALPHA_NAME)].map(|(method, name)| {
        let told = told.clone();
        Service::builder(name, told)
            .bidi(method, |told, _, asked: Messages<Request>| {
                std::future::ready(Ok(asked.map(move |req| told.answer(req))))
            })
            .build()
    })
}

/// What may be asked for.
struct Told {
    names: Vec<String>,
    index: Index,
}

impl Told {
    fn answer(&self, req: Request) -> Response {
        let said = match &req.asked {
            Some(Ask::FileByFilename(name)) => files(self.index.file(name)),
            Some(Ask::FileContainingSymbol(symbol)) => files(self.index.symbol(symbol)),
            Some(Ask::FileContainingExtension(extension)) => files(
                self.index
                    .extension(&extension.containing_type, extension.extension_number),
            ),
            Some(Ask::AllExtensionNumbersOfType(name)) => match self.index.extensions(name) {
                Some(numbers) => Said::ExtensionNumbers(ExtensionNumbers {
                    base_type_name: name.clone(),
                    extension_number: numbers,
                }),
                None => not_found(),
            },
            Some(Ask::ListServices(_)) => Said::Services(Services {
                service: self
                    .names
                    .iter()
                    .map(|name| Named { name: name.clone() })
                    .collect(),
            }),
            None => Said::Error(ErrorResponse {
                error_code: Code::InvalidArgument as i32,
                error_message: "the request asks for nothing".to_owned(),
            }),
        };
        Response {
            valid_host: req.host.clone(),
            original_request: Some(req),
            said: Some(said),
        }
    }
}

fn files(found: Option<Vec<Vec<u8>>>) -> Said {
    match found {
        Some(file_descriptor_proto) => Said::Files(Files {
            file_descriptor_proto,
        }),
        None => not_found(),
    }
}

fn not_found() -> Said {
    Said::Error(ErrorResponse {
        error_code: Code::NotFound as i32,
        error_message: "no file here declares it".to_owned(),
    })
}
