//! What other services ask, in the process and over a socket, and how the two that need each
//! other are put together.

use std::{path::Path, sync::Arc, time::Duration};

use patient_contract::rpc::{CountEnrolledReq, PatientClient, PatientService};
use serde_json::json;
use tenon::{
    Context, Process, Runtime, SystemClock, auth::Signer, config::ClientConfig, rpc::Channel,
};
use trial::{Clients, Config, LatePatient};
use trial_contract::rpc::{
    GetAssignmentReq, GetProgressReq, GetSiteReq, TrialClient, TrialService,
};

use crate::kit::{self, Patients, house};

#[tokio::test]
async fn a_site_is_told_with_the_state_of_its_study() {
    let house = house().await;
    let study = house
        .study(json!({"code": "A", "title": "t", "status": "ready"}))
        .await;
    let other = house.study(json!({"code": "B", "title": "t"})).await;
    let site = house.site(&study, "701").await;
    let cx = Context::background();
    let ask = |study: &str, site: &str| GetSiteReq {
        trial_id: study.to_owned(),
        site_id: site.to_owned(),
    };
    let told = house
        .client
        .get_site(&cx, ask(&study, &site))
        .await
        .unwrap();
    assert_eq!(
        (told.status.as_str(), told.trial_status.as_str()),
        ("active", "ready")
    );
    assert_eq!(
        (told.code.as_str(), told.time_zone.as_str()),
        ("701", "Asia/Shanghai")
    );
    for (study, site, code) in [
        (other.as_str(), site.as_str(), "SITE_NOT_FOUND"),
        (study.as_str(), "nowhere", "SITE_NOT_FOUND"),
        ("nowhere", site.as_str(), "TRIAL_NOT_FOUND"),
    ] {
        let error = house
            .client
            .get_site(&cx, ask(study, site))
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.http_status()), (code, 404));
    }
}

#[tokio::test]
async fn a_study_assigns_what_its_cycles_name_or_everything() {
    let house = house().await;
    let (phq, gad) = (
        "http://cohort.example/phq9|1.0",
        "http://cohort.example/gad7|1.0",
    );
    let named = json!({"code": "A", "title": "t", "cycles": [
        {"code": "S", "title": "t", "screening": true, "questionnaires": [phq]},
        {"code": "1", "title": "t", "questionnaires": [gad, phq]},
        {"code": "2", "title": "t", "questionnaires": [gad]},
    ]});
    let unnamed = json!({"code": "B", "title": "t", "cycles": [{"code": "1", "title": "t"}]});
    let cx = Context::background();
    for (body, all, assigned, screening) in [
        (named, false, vec![phq, gad], vec![phq]),
        (unnamed, true, vec![], vec![]),
    ] {
        let req = GetAssignmentReq {
            trial_id: house.study(body).await,
        };
        let told = house.client.get_assignment(&cx, req).await.unwrap();
        assert_eq!(told.all, all);
        assert_eq!(
            (told.assigned, told.screening),
            (
                assigned.into_iter().map(str::to_owned).collect(),
                screening.into_iter().map(str::to_owned).collect(),
            )
        );
    }
}

#[tokio::test]
async fn the_same_over_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::generate().unwrap();
    let patients = Patients::default();
    let clients = Clients {
        patient: PatientClient::local(patients.clone()),
    };
    let config = kit::config(folder.path(), &signer);
    let built = trial::build(config, clients, Arc::new(SystemClock))
        .await
        .unwrap();
    let runtime = Runtime::default();
    let open = built.service.open(&runtime).unwrap();
    let process = open.serve(Process::new(runtime)).unwrap();
    let running = process.start().await.unwrap();
    let address = running.address("trial.rpc").unwrap();
    let to = ClientConfig {
        endpoints: vec![address.to_string()],
        timeout: Duration::from_secs(5),
        ..ClientConfig::default()
    };
    let channel = Channel::new("trial", &to, &tenon::telemetry::Metrics::new()).unwrap();
    let client = TrialClient::remote(channel).unwrap();
    let req = GetProgressReq {
        trial_id: "nowhere".to_owned(),
    };
    let error = client
        .get_progress(&Context::background(), req)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.http_status()),
        ("TRIAL_NOT_FOUND", 404)
    );
    running.life().drain();
    running.wait().await.unwrap();
    // The data was closed with the process.
    assert!(folder.path().join("trial.db").exists());
    assert!(!folder.path().join("trial.db-wal").exists());
}

#[tokio::test]
async fn a_patient_service_may_be_named_later() {
    let late = LatePatient::default();
    let client = late.client();
    let cx = Context::background();
    let ask = || CountEnrolledReq {
        trial_id: "T1".to_owned(),
    };
    let error = client.count_enrolled(&cx, ask()).await.unwrap_err();
    assert_eq!(error.code(), "UNAVAILABLE");
    let patients = Patients::default();
    patients.enrolled.lock().unwrap().insert("T1".to_owned(), 3);
    late.set(PatientClient::local(patients));
    late.set(PatientClient::local(Patients::default()));
    assert_eq!(client.count_enrolled(&cx, ask()).await.unwrap().enrolled, 3);
}

#[test]
fn the_shipped_configuration_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/trial.yaml");
    let config: Config = tenon::config::load(&path).unwrap();
    assert_eq!(config.clients["patient"].endpoints, ["127.0.0.1:9101"]);
    assert_eq!(config.rest.listen.port(), 8102);
}
