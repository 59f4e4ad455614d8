//! A phone: one connection that submits filled-in questionnaires, each under a new id of its own,
//! and remembers the ids that were acknowledged.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use super::platform::Platform;
use crate::load::{
    Caller,
    http::{self, Connection, find},
};

/// The items whose answers vary. The ninth asks for thoughts of death: it stays at "not at all",
/// because an alert would be one more row.
const VARIED: usize = 8;
/// How long a phone waits before it sends again what was refused for the moment.
const PAUSE: Duration = Duration::from_millis(50);
/// Stands where the id of a submission will be.
const PLACE: &str = "00000000-0000-0000-0000-000000000000";

/// What all phones of a platform share.
#[derive(Default)]
pub(super) struct Book {
    acknowledged: Mutex<Vec<Uuid>>,
    /// How often a phone was told to come again.
    put_off: AtomicU64,
}

impl Book {
    /// The ids of all submissions that were acknowledged so far.
    pub(super) fn acknowledged(&self) -> Vec<Uuid> {
        let ids = self.acknowledged.lock();
        ids.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a phone was told to come again, since this was last asked.
    pub(super) fn put_off(&self) -> u64 {
        self.put_off.swap(0, Ordering::Relaxed)
    }

    fn note(&self, id: Uuid) {
        let ids = self.acknowledged.lock();
        ids.unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

/// One phone.
pub(super) struct Phone {
    connection: Connection,
    request: Vec<u8>,
    /// Where the id stands in the request.
    place: usize,
    book: Arc<Book>,
}

impl Phone {
    /// So many of them, connected, spread over the enrolled subjects.
    pub(super) async fn many(
        count: usize,
        platform: &Platform,
        book: &Arc<Book>,
    ) -> anyhow::Result<Vec<Self>> {
        let token = platform.login().await?;
        let (canonical, questionnaire) = platform.questionnaire(&token).await?;
        let subjects = platform.subjects();
        let mut phones = Vec::with_capacity(count);
        for number in 0..count {
            let subject = subjects
                .get(number % subjects.len().max(1))
                .context("the demonstration has no subjects")?;
            let response = response(&canonical, &questionnaire, subject, number)?;
            phones.push(Self::new(platform.gateway(), &token, &response, book).await?);
        }
        Ok(phones)
    }

    async fn new(
        gateway: SocketAddr,
        token: &str,
        response: &str,
        book: &Arc<Book>,
    ) -> anyhow::Result<Self> {
        let path = "/api/v1/epro/response";
        let kind = "application/fhir+json";
        let request = http::request("POST", path, token, kind, response.as_bytes()).to_vec();
        let place = find(&request, PLACE.as_bytes()).context("the response has no id")?;
        Ok(Self {
            connection: Connection::open(gateway).await?,
            request,
            place,
            book: book.clone(),
        })
    }
}

impl Caller for Phone {
    async fn call(&mut self) -> anyhow::Result<()> {
        let id = Uuid::now_v7();
        let mut text = Uuid::encode_buffer();
        let text = id.as_hyphenated().encode_lower(&mut text).as_bytes();
        let place = self.place..self.place + PLACE.len();
        if let Some(place) = self.request.get_mut(place) {
            place.copy_from_slice(text);
        }
        loop {
            let answer = self.connection.exchange(&self.request).await?;
            match answer.status {
                // 200 is the receipt of what an attempt that was told to come again had stored.
                200 | 201 if find(&answer.body, text).is_some() => {
                    self.book.note(id);
                    return Ok(());
                }
                // Full, or too late: with the same id it may be sent again as often as needed.
                429 | 503 | 504 => {
                    self.book.put_off.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                status => {
                    let text = String::from_utf8_lossy(&answer.body);
                    bail!("a submission was answered {status}: {text}");
                }
            }
        }
    }
}

/// A filled-in questionnaire: the answers differ from phone to phone.
fn response(
    canonical: &str,
    questionnaire: &Value,
    subject: &str,
    number: usize,
) -> anyhow::Result<String> {
    let items = questionnaire["item"].as_array();
    let items = items.context("the questionnaire has no items")?;
    let mut answers = Vec::new();
    for item in items.iter().filter(|item| item["type"] == "choice") {
        let options = item["answerOption"].as_array();
        let options = options.context("a choice has options")?;
        let turn = if answers.len() < VARIED {
            number + answers.len()
        } else {
            0
        };
        let option = options.get(turn % options.len().max(1));
        let coding = &option.context("a choice has an option")?["valueCoding"];
        let coding = json!({"system": coding["system"], "code": coding["code"]});
        answers.push(json!({"linkId": item["linkId"], "answer": [{"valueCoding": coding}]}));
    }
    let response = json!({
        "resourceType": "QuestionnaireResponse",
        "id": PLACE,
        "questionnaire": canonical,
        "status": "completed",
        "subject": {"reference": format!("Patient/{subject}")},
        "authored": jiff::Timestamp::now(),
        "item": answers,
    });
    Ok(response.to_string())
}

/// How large one submission is, in bytes.
pub(super) fn body_bytes(phone: &Phone) -> usize {
    let head = find(&phone.request, b"\r\n\r\n").map_or(0, |at| at + 4);
    phone.request.len() - head
}
