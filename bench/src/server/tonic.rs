//! Bare tonic: its own server and client around the same messages, as its code generator writes
//! them.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::Pin, task};

use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc,
    server::NamedService,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use ward::ServiceContext;
use ward_contract::rpc::{EchoReq, EchoResp, GetPatientsByTrialReq, GetPatientsByTrialResp};

use super::{ANY, announce};

/// Serves until the process is killed.
pub(super) async fn serve() -> anyhow::Result<()> {
    let incoming = TcpIncoming::bind(ANY)?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    announce(address, address)?;
    Server::builder()
        .add_service(Ward(ServiceContext::default()))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Ward(ServiceContext);

impl NamedService for Ward {
    const NAME: &'static str = "ward.WardService";
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl tower::Service<http::Request<Body>> for Ward {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let context = self.0.clone();
        match request.uri().path() {
            "/ward.WardService/echo" => Box::pin(async move {
                let echo = tower::service_fn(|request: Request<EchoReq>| {
                    let text = request.into_inner().text;
                    let reply = async move { Ok(Response::new(EchoResp { text })) };
                    Box::pin(reply) as Answer<Response<EchoResp>, Status>
                });
                let codec = ProstCodec::default();
                Ok(tonic::server::Grpc::new(codec).unary(echo, request).await)
            }),
            "/ward.WardService/getPatientsByTrial" => Box::pin(async move {
                let list = tower::service_fn(move |_: Request<GetPatientsByTrialReq>| {
                    let patients = context.patients.to_vec();
                    let reply =
                        async move { Ok(Response::new(GetPatientsByTrialResp { patients })) };
                    Box::pin(reply) as Answer<Response<GetPatientsByTrialResp>, Status>
                });
                let codec = ProstCodec::default();
                Ok(tonic::server::Grpc::new(codec).unary(list, request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

/// The client of [`Ward`].
#[derive(Clone)]
pub(crate) struct Client(Grpc<Channel>);

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?;
        Ok(Self(Grpc::new(channel)))
    }

    /// `rpc echo`
    pub(crate) async fn echo(&mut self, req: EchoReq) -> anyhow::Result<EchoResp> {
        self.0.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/ward.WardService/echo");
        let codec = ProstCodec::default();
        let response = self.0.unary(Request::new(req), path, codec).await?;
        Ok(response.into_inner())
    }

    /// `rpc getPatientsByTrial`
    pub(crate) async fn get_patients_by_trial(
        &mut self,
        req: GetPatientsByTrialReq,
    ) -> anyhow::Result<GetPatientsByTrialResp> {
        self.0.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/ward.WardService/getPatientsByTrial");
        let codec = ProstCodec::default();
        let response = self.0.unary(Request::new(req), path, codec).await?;
        Ok(response.into_inner())
    }
}
