//! A library that serves the contract of the tests over gRPC.

use std::sync::{Arc, LazyLock};

use prost::Message;
use serde_json::json;
use tenon_auth::{Signer, Verifier};
use tenon_core::{
    Code, Context, Entry, Messages, Result, SystemClock, Violation,
    config::{AuthConfig, KeyConfig, Reflection, RpcConfig},
};
use tenon_rpc::{Door, Method, Server, Service};
use tokio::sync::mpsc;

static CLOSED: Entry = Entry::new(
    "SHELF_CLOSED",
    Code::FailedPrecondition,
    "the shelf {shelf} is closed",
    "书架 {shelf} 已关闭",
)
.http(423);

static GET_MESSAGE: Method = Method::new("/shelf.v1.ShelfService/GetMessage");
static GET_BOOK: Method = Method::new("/shelf.v1.ShelfService/GetBook");
static CREATE_BOOK: Method = Method::new("/shelf.v1.ShelfService/CreateBook");
static LIST_BOOKS: Method = Method::new("/shelf.v1.ShelfService/ListBooks");
static ALL_BOOKS: Method = Method::new("/shelf.v1.ShelfService/AllBooks");
static WATCH_BOOKS: Method = Method::new("/shelf.v1.ShelfService/WatchBooks");
static SHELVE_BOOKS: Method = Method::new("/shelf.v1.ShelfService/ShelveBooks");
static CONVERSE: Method = Method::new("/shelf.v1.ShelfService/Converse");
static WEIGH: Method = Method::new("/shelf.v1.ShelfService/Weigh");
static BIND: Method = Method::new("/shelf.v1.ShelfService/Bind");
static SET_COVER: Method = Method::new("/shelf.v1.ShelfService/SetCover");
static READ_ALOUD: Method = Method::new("/shelf.v1.ShelfService/ReadAloud");
static GET_PARCEL: Method = Method::new("/shelf.v1.ShelfService/GetParcel");
static WATCH_PARCELS: Method = Method::new("/shelf.v1.ShelfService/WatchParcels");

#[derive(Clone, PartialEq, Message)]
struct GetMessageRequest {
    #[prost(string, tag = "1")]
    message_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetBookRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Book {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    title: String,
}

#[derive(Clone, PartialEq, Message)]
struct CreateBookRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(string, tag = "2")]
    book_id: String,
    #[prost(message, optional, tag = "3")]
    book: Option<Book>,
}

#[derive(Clone, PartialEq, Message)]
struct ListBooksRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(int32, tag = "2")]
    page_size: i32,
    #[prost(string, repeated, tag = "3")]
    authors: Vec<String>,
}

/// `google.api.HttpBody`
#[derive(Clone, PartialEq, Message)]
struct HttpBody {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Cover {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    image: Option<HttpBody>,
    #[prost(int32, tag = "3")]
    edition: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Parcel {
    #[prost(message, optional, tag = "1")]
    content: Option<prost_types::Any>,
}

#[derive(Clone, PartialEq, Message)]
struct ListBooksResponse {
    #[prost(message, repeated, tag = "1")]
    books: Vec<Book>,
}

/// The library, and what it tells of itself.
#[allow(dead_code, reason = "not every test binary looks at all of it")]
pub(crate) struct Library {
    pub(crate) door: Door,
    /// `Bearer ...` of a caller that it knows.
    pub(crate) token: String,
    /// One for each call that was dropped before its end.
    pub(crate) dropped: mpsc::UnboundedReceiver<()>,
}

impl Library {
    /// A library that checks tokens where they come.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (signer, file) = (Signer::generate().unwrap(), folder.path().join("jwks.json"));
        signer.write_jwks(&file).unwrap();
        let auth = AuthConfig {
            keys: vec![KeyConfig { file }],
            ..AuthConfig::default()
        };
        let verifier = Verifier::new(&auth, Arc::new(SystemClock)).unwrap();
        let claims = json!({"sub": "account-1", "exp": 4_000_000_000_i64});
        let (sender, dropped) = mpsc::unbounded_channel();
        let config = RpcConfig {
            reflection: Reflection::Nobody,
            ..RpcConfig::default()
        };
        let server = Server::new("library", config)
            .verifier(verifier)
            .service(service(sender))
            .service(reflection());
        Self {
            door: server.into_service().unwrap(),
            token: format!("Bearer {}", signer.sign(&claims).unwrap()),
            dropped,
        }
    }
}

struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn service(dropped: mpsc::UnboundedSender<()>) -> Service {
    static DESCRIPTORS: LazyLock<&'static [u8]> =
        LazyLock::new(|| super::shelf::descriptors().leak());
    Service::builder("shelf.v1.ShelfService", dropped)
        .descriptor(*DESCRIPTORS)
        .unary(&GET_MESSAGE, |_, cx, req: GetMessageRequest| async move {
            message(&cx, &req.message_id)
        })
        .unary(&GET_BOOK, |dropped, _, req: GetBookRequest| async move {
            if req.name.ends_with("/slow") {
                let _presence = Dropped((*dropped).clone());
                std::future::pending::<()>().await;
            }
            let title = "War and Peace".to_owned();
            Ok(Book {
                name: req.name,
                title,
            })
        })
        .unary(&CREATE_BOOK, |_, _, req: CreateBookRequest| async move {
            let name = format!("{}/books/{}", req.parent, req.book_id);
            let title = req.book.unwrap_or_default().title;
            Ok(Book { name, title })
        })
        .unary(&LIST_BOOKS, |_, _, req: ListBooksRequest| async move {
            Ok(list(&req))
        })
        .unary(&ALL_BOOKS, |_, _, req: ListBooksRequest| async move {
            Ok(list(&req))
        })
        .server_stream(
            &WATCH_BOOKS,
            |dropped, _, req: ListBooksRequest| async move { watch(&req, (*dropped).clone()) },
        )
        .client_stream(
            &SHELVE_BOOKS,
            |dropped, _, books: Messages<CreateBookRequest>| async move {
                shelve(books, (*dropped).clone()).await
            },
        )
        .bidi(&CONVERSE, |dropped, _, asked: Messages<Text>| async move {
            Ok(converse(asked, (*dropped).clone()))
        })
        .client_stream(&WEIGH, |_, _, mut pieces: Messages<HttpBody>| async move {
            let (mut bytes, mut kinds) = (0, std::collections::BTreeSet::new());
            while let Some(piece) = pieces.try_next().await? {
                bytes += piece.data.len();
                kinds.insert(piece.content_type);
            }
            let text = format!("{bytes} of {kinds:?}");
            Ok(Text { text })
        })
        .unary(&BIND, |_, _, body: HttpBody| async move { Ok(bound(body)) })
        .unary(&SET_COVER, |_, _, cover: Cover| async move {
            let image = cover.image.map(bound);
            Ok(Cover { image, ..cover })
        })
        .server_stream(&READ_ALOUD, |_, _, req: ListBooksRequest| async move {
            Ok(read_aloud(&req))
        })
        .unary(&GET_PARCEL, |_, _, req: GetMessageRequest| async move {
            Ok(parcel(&req.message_id))
        })
        .server_stream(&WATCH_PARCELS, |_, _, req: GetMessageRequest| async move {
            let parcels = ["known".to_owned(), req.message_id].map(|id| Ok(parcel(&id)));
            Ok(Messages::results(futures_util::stream::iter(parcels)))
        })
        .build()
}

/// The books that came, in order. One called `closed` is refused at once, one called `heavy` lets
/// nobody go on.
async fn shelve(
    mut books: Messages<CreateBookRequest>,
    dropped: mpsc::UnboundedSender<()>,
) -> Result<ListBooksResponse> {
    let _presence = Dropped(dropped);
    let mut shelved = Vec::new();
    while let Some(request) = books.try_next().await? {
        let title = request.book.unwrap_or_default().title;
        if title == "heavy" {
            std::future::pending::<()>().await;
        }
        if title == "closed" {
            return Err(CLOSED.error().param("shelf", "7"));
        }
        let name = format!("{}/books/{}", request.parent, shelved.len());
        shelved.push(Book { name, title });
    }
    Ok(ListBooksResponse { books: shelved })
}

/// What is asked, in capitals, until somebody is rude.
fn converse(mut asked: Messages<Text>, dropped: mpsc::UnboundedSender<()>) -> Messages<Text> {
    Messages::produce(move |producer| async move {
        let _presence = Dropped(dropped);
        while let Some(Text { text }) = asked.try_next().await? {
            if text == "rude" {
                return Err(CLOSED.error().param("shelf", "7"));
            }
            let text = text.to_uppercase();
            producer.send(Text { text }).await?;
        }
        Ok(())
    })
}

/// What came, in brackets.
fn bound(body: HttpBody) -> HttpBody {
    let data = [b"[", &*body.data, b"]"].concat();
    HttpBody { data, ..body }
}

/// As many pieces as asked for, and then the end or a failure.
fn read_aloud(req: &ListBooksRequest) -> Messages<HttpBody> {
    let (count, broken) = (req.page_size, !req.authors.is_empty());
    Messages::produce(move |producer| async move {
        for at in 0..count {
            let piece = HttpBody {
                content_type: "audio/ogg".to_owned(),
                data: format!("<{at}>").into_bytes(),
            };
            producer.send(piece).await?;
        }
        match broken {
            true => Err(CLOSED.error().param("shelf", "7")),
            false => Ok(()),
        }
    })
}

/// A parcel with something in it that the contract knows, that it does not know, or that says of
/// no type that it is of it.
fn parcel(id: &str) -> Parcel {
    let (type_url, value) = match id {
        "known" => {
            let text = "a letter".to_owned();
            let letter = Text { text }.encode_to_vec();
            ("type.googleapis.com/shelf.v1.Message", letter)
        }
        "unknown" => ("type.googleapis.com/post.v1.Stamp", vec![8, 1]),
        "broken" => ("type.googleapis.com/shelf.v1.Message", vec![10, 200]),
        "nameless" => ("", vec![8, 1]),
        _ => ("", Vec::new()),
    };
    let type_url = type_url.to_owned();
    Parcel {
        content: Some(prost_types::Any { type_url, value }),
    }
}

fn message(cx: &Context, id: &str) -> Result<Text> {
    let text = match id {
        "caller" => cx
            .principal()
            .map_or("nobody", |caller| caller.subject())
            .to_owned(),
        "time" => {
            let left = cx.remaining().map(|left| left.as_millis().to_string());
            left.unwrap_or_default()
        }
        "trace" => cx.trace().trace_id(),
        "closed" => {
            let violations = vec![Violation::at(
                "path",
                "messageId",
                "options",
                "an open shelf",
            )];
            return Err(CLOSED.error().param("shelf", "7").violations(violations));
        }
        "panic" => panic!("the shelf fell on Mr. Wang"),
        other => other.to_owned(),
    };
    Ok(Text { text })
}

fn list(req: &ListBooksRequest) -> ListBooksResponse {
    let books = (0..req.page_size).map(|at| book(&req.parent, at));
    ListBooksResponse {
        books: books.collect(),
    }
}

fn book(parent: &str, at: i32) -> Book {
    Book {
        name: format!("{parent}/books/{at}"),
        title: format!("Volume {at}"),
    }
}

/// As many books as asked for, then the end, a failure, or silence.
fn watch(req: &ListBooksRequest, dropped: mpsc::UnboundedSender<()>) -> Result<Messages<Book>> {
    let (parent, count) = (req.parent.clone(), req.page_size);
    let end = req.authors.first().cloned().unwrap_or_default();
    if end == "refused" {
        return Err(CLOSED.error().param("shelf", "7"));
    }
    Ok(Messages::produce(move |producer| async move {
        let _presence = Dropped(dropped);
        for at in 0..count {
            producer.send(book(&parent, at)).await?;
        }
        match end.as_str() {
            "broken" => Err(CLOSED.error().param("shelf", "7")),
            "silent" => std::future::pending().await,
            _ => Ok(()),
        }
    }))
}

static REFLECTION: Method =
    Method::new("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");

#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, optional, tag = "3")]
    file: Option<String>,
    #[prost(string, optional, tag = "4")]
    symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    list: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(message, optional, tag = "4")]
    files: Option<Files>,
    #[prost(message, optional, tag = "6")]
    services: Option<Services>,
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Text>,
}

/// Reflection as an old server has it: the alpha alone, one file at a time.
fn reflection() -> Service {
    Service::builder("grpc.reflection.v1alpha.ServerReflection", ())
        .bidi(&REFLECTION, |_, _, asked: Messages<Question>| async move {
            Ok(asked.map(|question| tell(&question)))
        })
        .build()
}

fn tell(question: &Question) -> Told {
    let pool = prost_reflect::DescriptorPool::decode(super::shelf::descriptors().as_slice());
    let pool = pool.unwrap();
    if question.list.is_some() {
        let names = [
            "shelf.v1.ShelfService",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        let services = names.map(|name| Text {
            text: name.to_owned(),
        });
        return Told {
            services: Some(Services {
                services: services.into(),
            }),
            files: None,
        };
    }
    let name = question
        .file
        .clone()
        .unwrap_or_else(|| "shelf.proto".to_owned());
    assert!(
        question
            .symbol
            .as_deref()
            .is_none_or(|symbol| symbol == "shelf.v1.ShelfService")
    );
    let file = pool.get_file_by_name(&name).unwrap();
    Told {
        files: Some(Files {
            files: vec![file.encode_to_vec()],
        }),
        services: None,
    }
}
