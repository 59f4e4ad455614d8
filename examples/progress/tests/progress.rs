//! The service over HTTP, with a trial service that knows one trial.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use tenon::{Code, Context, Entry, Process, Result, Runtime, config::RestConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use trial_contract::rpc;

static TRIAL_NOT_FOUND: Entry = Entry::new(
    "TRIAL_NOT_FOUND",
    Code::NotFound,
    "no such trial",
    "项目不存在",
);

struct OneTrial;

impl rpc::TrialService for OneTrial {
    async fn get_progress(
        &self,
        _: &Context,
        req: rpc::GetProgressReq,
    ) -> Result<rpc::GetProgressResp> {
        if req.trial_id != "T1" {
            return Err(TRIAL_NOT_FOUND.error());
        }
        Ok(rpc::GetProgressResp {
            trial_id: req.trial_id,
            status: "recruiting".to_owned(),
            enrolled: 254,
            target: Some(300),
            progress: Some(84),
        })
    }

    async fn get_site(&self, _: &Context, _: rpc::GetSiteReq) -> Result<rpc::GetSiteResp> {
        panic!("only progress is asked for")
    }

    async fn get_assignment(
        &self,
        _: &Context,
        _: rpc::GetAssignmentReq,
    ) -> Result<rpc::GetAssignmentResp> {
        panic!("only progress is asked for")
    }
}

async fn get(path: &str) -> String {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let config = RestConfig {
        listen: any,
        ..RestConfig::default()
    };
    let runtime = Runtime::default();
    let app = progress::build(rpc::TrialClient::local(OneTrial));
    let open = app.service(config).open(&runtime).unwrap();
    let process = open.serve(Process::new(runtime)).unwrap();
    let running = process.start().await.unwrap();
    let address = running.address("progress.rest").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn progress_is_answered_with_the_numbers_of_the_trial_service() {
    let answer = get("/api/v1/trial/T1/progress").await;
    let body =
        r#"{"enrolled":254,"progress":84,"status":"recruiting","target":300,"trialId":"T1"}"#;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(body),
        "{answer}"
    );
}

#[tokio::test]
async fn an_unknown_trial_is_a_problem_document() {
    let answer = get("/api/v1/trial/T2/progress").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("TRIAL_NOT_FOUND"));
}
