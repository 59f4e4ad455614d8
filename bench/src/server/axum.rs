//! Bare axum doing what the generated service does: the same routes, the same parse, the same
//! checks, the same answers, and nothing else.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use ward::ServiceContext;
use ward_contract::rest::{GetPatientResp, ListPatientsResp, PatientRow, SubmitResp};

use super::{ANY, announce};

/// Serves until the process is killed.
pub(super) async fn serve() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(ANY).await?;
    let address = listener.local_addr()?;
    announce(address, address)?;
    axum::serve(listener, router()).await?;
    Ok(())
}

/// The routes.
pub(super) fn router() -> Router {
    Router::new()
        .route("/api/v1/open/patient/{patientId}", get(get_patient))
        .route("/api/v1/open/trial/{trialId}/patient", get(list_patients))
        .route("/api/v1/open/submission", post(submit))
        .with_state(Arc::new(ServiceContext::default()))
}

async fn get_patient(
    State(context): State<Arc<ServiceContext>>,
    Path(patient_id): Path<String>,
) -> Response {
    if patient_id != context.patient.id {
        return StatusCode::NOT_FOUND.into_response();
    }
    json(&GetPatientResp {
        patient: context.patient.as_ref().clone(),
    })
}

async fn list_patients(State(context): State<Arc<ServiceContext>>) -> Response {
    let row = |patient: &ward_contract::rpc::PatientInfo| PatientRow {
        id: patient.id.clone(),
        name: patient.name.clone(),
        status: patient.status,
    };
    json(&ListPatientsResp {
        patients: context.patients.iter().map(row).collect(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "its fields are read because the service reads them"
)]
struct Submission {
    id: String,
    patient_id: String,
    trial_id: String,
    questionnaire: String,
    status: String,
    #[serde(default)]
    language: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "its fields are read because the service reads them"
)]
struct Item {
    link_id: String,
    value: i64,
}

async fn submit(body: Bytes) -> Response {
    let Ok(submission) = serde_json::from_slice::<Submission>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let status = ["completed", "amended"].contains(&submission.status.as_str());
    let values = |item: &Item| (0..=10).contains(&item.value);
    if !status || !submission.items.iter().all(values) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    json(&SubmitResp {
        accepted: i64::try_from(submission.items.len()).unwrap_or(i64::MAX),
        total: submission.items.iter().map(|item| item.value).sum(),
        id: submission.id,
    })
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
