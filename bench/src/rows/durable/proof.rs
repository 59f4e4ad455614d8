//! The proof that each acknowledged submission is stored exactly once, through the public
//! interface, after the platform was killed and started again.

use std::collections::HashMap;

use anyhow::{bail, ensure};
use serde::Deserialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{phone::Book, platform::Platform};
use crate::load::http::{self, Connection};

/// What was found.
pub(super) struct Proof {
    /// Submissions that were acknowledged, each of which is there once.
    pub(super) acknowledged: usize,
    /// Submissions that are there though their phone was never told: it was killed before.
    pub(super) unannounced: usize,
    /// What `cohort audit verify` said.
    pub(super) audit: String,
}

/// Reads all responses of all subjects and holds them against the book.
pub(super) async fn prove(platform: &Platform, book: &Book) -> anyhow::Result<Proof> {
    let token = platform.login().await?;
    let mut tasks = JoinSet::new();
    for subject in platform.subjects() {
        let path = format!("/api/v1/epro/response?limit=200&subjectId={subject}");
        tasks.spawn(ids(platform.gateway(), token.clone(), path));
    }
    let mut stored: HashMap<Uuid, usize> = HashMap::new();
    while let Some(ended) = tasks.join_next().await {
        for id in ended?? {
            *stored.entry(id).or_default() += 1;
        }
    }
    let twice = stored.values().filter(|times| **times > 1).count();
    ensure!(twice == 0, "{twice} submissions are stored more than once");
    let acknowledged = book.acknowledged();
    let lost = acknowledged.iter().filter(|id| !stored.contains_key(id));
    let lost = lost.count();
    let all = acknowledged.len();
    ensure!(
        lost == 0,
        "{lost} of {all} acknowledged submissions are lost"
    );
    Ok(Proof {
        acknowledged: all,
        unannounced: stored.len() - all,
        audit: platform.verify_audit()?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: Uuid,
}

/// The ids of a list, page after page.
async fn ids(
    gateway: std::net::SocketAddr,
    token: String,
    path: String,
) -> anyhow::Result<Vec<Uuid>> {
    let mut connection = Connection::open(gateway).await?;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = if cursor.is_empty() {
            path.clone()
        } else {
            format!("{path}&cursor={cursor}")
        };
        let request = http::request("GET", &page, &token, "", b"");
        let answer = connection.exchange(&request).await?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("a list was answered {}: {text}", answer.status);
        }
        let page: Page = serde_json::from_slice(&answer.body)?;
        ids.extend(page.items.iter().map(|item| item.id));
        match page.next_cursor {
            Some(next) if !next.is_empty() => cursor = next,
            _ => return Ok(ids),
        }
    }
}
