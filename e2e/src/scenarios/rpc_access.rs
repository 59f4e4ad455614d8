//! Every gRPC method with every caller and every object, past the gateway.

use std::{sync::Arc, time::Duration};

use epro::EproService;
use epro_contract::rpc as epro;
use identity::IdentityService;
use identity_contract::rpc as identity;
use patient::PatientService;
use patient_contract::rpc as patient;
use serde_json::Map;
use tenon::{
    Code, Context, Error, Principal, config::ClientConfig, rpc::Channel, telemetry::Metrics,
};
use trial::TrialService;
use trial_contract::rpc as trial;
use uuid::Uuid;

use super::strangers;
use crate::{
    cast::{Actor, Cast},
    run::Outcome,
    table::{self, Row},
    world::{SERVICES, World},
};

pub(super) const TABLE: &str = include_str!("../../access/rpc.txt");

/// The contracts as they are written: package, service and methods are read from them.
const CONTRACTS: [&str; 4] = [
    include_str!("../../../cohort/services/identity/identity.proto"),
    include_str!("../../../cohort/services/trial/trial.proto"),
    include_str!("../../../cohort/services/patient/patient.proto"),
    include_str!("../../../cohort/services/epro/epro.proto"),
];

/// A method without a rule in the table, or a rule without its method.
pub(super) async fn every_method_has_a_rule(_: &World) -> Outcome {
    let methods: Vec<String> = CONTRACTS.into_iter().flat_map(methods).collect();
    table::assert_complete(&table::read(TABLE), methods.clone());
    Outcome::Measured(format!("{} methods", methods.len()))
}

fn methods(proto: &str) -> Vec<String> {
    let word = |line: &str, after: &str| {
        let rest = line.trim().strip_prefix(after)?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        Some(rest[..end].to_owned())
    };
    let first = |after| proto.lines().find_map(|line| word(line, after)).unwrap();
    let (package, service) = (first("package "), first("service "));
    let methods = proto.lines().filter_map(|line| word(line, "rpc "));
    methods
        .map(|method| format!("{package}.{service}/{method}"))
        .collect()
}

pub(super) async fn r_15_past_the_gateway_the_same_rules_hold(world: &World) -> Outcome {
    if !world.is_split() {
        // Nobody can call past the gateway where no door for it is open.
        for service in SERVICES {
            let address = world.ports().address(&format!("{service}.rpc"));
            assert!(std::net::TcpStream::connect(&address).is_err(), "{address}");
        }
        return Outcome::Skipped("one process opens no gRPC door".to_owned());
    }
    let cast = world.cast().await;
    let doors = Doors::open(world);
    let (mut wrong, mut calls) = (Vec::new(), 0);
    for row in table::read(TABLE) {
        for actor in Actor::ALL {
            let got = doors.call(cast, &row, actor, Some(cast.token(actor))).await;
            let got = got.unwrap_or_else(|error| word(&error));
            calls += 1;
            if got != row.cell(actor) {
                let expected = row.cell(actor);
                wrong.push(format!(
                    "{} {} {actor:?}: {got}, not {expected}",
                    row.route, row.object
                ));
            }
        }
        for stranger in strangers::all(world).await {
            let actor = Actor::Investigator;
            let got = doors
                .call(cast, &row, actor, stranger.token.as_deref())
                .await;
            calls += 1;
            // A token that is sent has to be a good one, also where none is asked for.
            let is_open = row.is_open && stranger.token.is_none();
            let is_right = match &got {
                Ok(word) => is_open && word == row.cell(actor),
                Err(error) if is_open => word(error) == row.cell(actor),
                Err(error) => error.code() == stranger.code,
            };
            if !is_right {
                wrong.push(format!(
                    "{} {} {}: {got:?}",
                    row.route, row.object, stranger.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Outcome::Measured(format!("{calls} calls"))
}

/// A status as the table writes it.
fn word(error: &Error) -> String {
    match error.status() {
        Code::PermissionDenied => "denied".to_owned(),
        Code::NotFound => "hidden".to_owned(),
        _ => format!("{error:?}"),
    }
}

/// The clients of all services.
struct Doors {
    identity: identity::IdentityClient,
    trial: trial::TrialClient,
    patient: patient::PatientClient,
    epro: epro::EproClient,
}

impl Doors {
    fn open(world: &World) -> Self {
        let channel = |name: &str| {
            let config = ClientConfig {
                endpoints: vec![world.ports().address(&format!("{name}.rpc"))],
                timeout: Duration::from_secs(5),
                ..ClientConfig::default()
            };
            Channel::new(name, &config, &Metrics::new()).unwrap()
        };
        Self {
            identity: identity::IdentityClient::remote(channel("identity")).unwrap(),
            trial: trial::TrialClient::remote(channel("trial")).unwrap(),
            patient: patient::PatientClient::remote(channel("patient")).unwrap(),
            epro: epro::EproClient::remote(channel("epro")).unwrap(),
        }
    }

    /// Calls the method of a row for its object with a token, whatever that is. The answer is as
    /// the table writes it.
    async fn call(
        &self,
        cast: &Cast,
        row: &Row,
        actor: Actor,
        token: Option<&str>,
    ) -> Result<String, Error> {
        let mut principal = Principal::new("whoever", Map::new());
        if let Some(token) = token {
            principal = principal.with_token(token);
        }
        let cx = Context::background().with_principal(Arc::new(principal));
        let number = ["own", "peer", "site", "study"]
            .iter()
            .position(|name| *name == row.object);
        let subject = number.map(|number| &cast.subjects[number]);
        let nothing = Uuid::now_v7().to_string();
        let id = subject.map_or(nothing.clone(), |subject| subject.id.clone());
        let trial_id = subject.map_or(nothing.clone(), |subject| subject.place.study.clone());
        let site_id = subject.map_or(nothing.clone(), |subject| subject.place.site.clone());
        let ok = || "ok".to_owned();
        match row.route.split_once('/').unwrap().1 {
            "GetAccount" => {
                let id = match row.object {
                    "own" => cast.accounts[&actor].id.clone(),
                    "study" => cast.target.clone(),
                    _ => nothing,
                };
                let found = self
                    .identity
                    .get_account(&cx, identity::GetAccountReq { id })
                    .await;
                found.map(|_| ok())
            }
            "GetKeys" => self
                .identity
                .get_keys(&cx, identity::GetKeysReq {})
                .await
                .map(|_| ok()),
            "GetProgress" | "GetSite" | "GetAssignment" => {
                self.study(&cx, row, trial_id, site_id).await.map(|()| ok())
            }
            "getPatientsByTrial" => self.patients(cast, &cx, actor, trial_id).await,
            "GetPatientInfo" => {
                let req = patient::GetPatientReq { id };
                self.patient.get_patient_info(&cx, req).await.map(|_| ok())
            }
            "GetStanding" => {
                let req = patient::GetStandingReq { id };
                self.patient.get_standing(&cx, req).await.map(|_| ok())
            }
            "CountEnrolled" => {
                let req = patient::CountEnrolledReq { trial_id };
                self.patient.count_enrolled(&cx, req).await.map(|_| ok())
            }
            "GetEproData" => {
                let req = epro::GetEproDataReq {
                    patient_id: id,
                    limit: 200,
                };
                let found = self.epro.get_epro_data(&cx, req).await?.responses;
                let found: Vec<String> = found.into_iter().map(|response| response.id).collect();
                let known = cast
                    .subjects
                    .each_ref()
                    .map(|subject| subject.response.as_str());
                Ok(table::shown(&found, &known))
            }
            other => panic!("no call is known for {other}"),
        }
    }

    /// What the trial service tells of a study.
    async fn study(
        &self,
        cx: &Context,
        row: &Row,
        trial_id: String,
        site_id: String,
    ) -> Result<(), Error> {
        let (trial, method) = (&self.trial, row.route.rsplit('/').next().unwrap());
        match method {
            "GetProgress" => {
                let req = trial::GetProgressReq { trial_id };
                trial.get_progress(cx, req).await.map(drop)
            }
            "GetSite" => {
                let req = trial::GetSiteReq { trial_id, site_id };
                trial.get_site(cx, req).await.map(drop)
            }
            _ => {
                let req = trial::GetAssignmentReq { trial_id };
                trial.get_assignment(cx, req).await.map(drop)
            }
        }
    }

    /// The subjects of a study; their names must be there for those who may know them alone.
    async fn patients(
        &self,
        cast: &Cast,
        cx: &Context,
        actor: Actor,
        trial_id: String,
    ) -> Result<String, Error> {
        let req = patient::GetPatientsByTrialReq { trial_id };
        let found = self.patient.get_patients_by_trial(cx, req).await?.patients;
        let may_know = [
            Actor::Investigator,
            Actor::Coordinator,
            Actor::OtherSite,
            Actor::OtherStudy,
        ];
        let named = found
            .iter()
            .any(|patient| !patient.name.expose().is_empty());
        assert_eq!(
            named,
            may_know.contains(&actor) && !found.is_empty(),
            "names for {actor:?}"
        );
        let found: Vec<String> = found.into_iter().map(|patient| patient.id).collect();
        let known = cast.subjects.each_ref().map(|subject| subject.id.as_str());
        Ok(table::shown(&found, &known))
    }
}
