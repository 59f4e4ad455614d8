//! A process that is killed in the middle of its work.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::platform::{Client, demo, folder, new_id, phq9, run, said, up};

const PATH: &str = "/api/v1/epro/response";
/// How many clients submit at the same time.
const CLIENTS: usize = 100;
/// How many responses each of them has.
const EACH: usize = 20;
/// After how many receipts the process is killed.
const KILLED_AFTER: usize = 150;

/// What the clients know.
#[derive(Default)]
struct Shared {
    /// What was acknowledged: the response and its receipt number, by id.
    receipts: Mutex<BTreeMap<String, (Value, String)>>,
    count: AtomicUsize,
    /// How many clients lost their connection.
    lost: AtomicUsize,
}

/// Submits one response after the other until the connection is lost.
fn submit(client: &Client, subject: &str, option: usize, shared: &Shared) {
    for _ in 0..EACH {
        let id = new_id();
        let response = phq9(&id, subject, option);
        match client.try_send("POST", PATH, Some(&response)) {
            Ok((201, receipt)) => {
                let number = receipt["receiptNo"].as_str().unwrap().to_owned();
                shared
                    .receipts
                    .lock()
                    .unwrap()
                    .insert(id, (response, number));
                shared.count.fetch_add(1, Ordering::SeqCst);
            }
            Ok((status, problem)) => panic!("{status}: {problem}"),
            Err(_) => {
                shared.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

#[test]
fn every_acknowledged_submission_is_there_once_after_a_kill() {
    let folder = folder();
    let data = folder.path().join("data");
    let process = up(&data, &["--demo", "--log-level", "warn"]);
    let demo = demo(&data);
    let coordinator = Client::of(&process).role(&demo, "coordinator");
    let subjects = demo["subjectIds"].as_array().unwrap();
    let shared = Arc::new(Shared::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (client, shared) = (coordinator.clone(), shared.clone());
            let subject = subjects[number % subjects.len()]
                .as_str()
                .unwrap()
                .to_owned();
            thread::spawn(move || submit(&client, &subject, number % 4, &shared))
        })
        .collect();
    while shared.count.load(Ordering::SeqCst) < KILLED_AFTER {
        thread::yield_now();
    }
    process.signal("-KILL");
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    assert!(!process.end().success());
    assert!(
        shared.lost.load(Ordering::SeqCst) > 0,
        "it was killed after all work was done"
    );

    let verified = run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{:?}", said(&verified));
    let process = up(&data, &["--log-level", "warn"]);
    let client = Client::of(&process).with_token(coordinator.token());
    let mut stored: BTreeMap<String, usize> = BTreeMap::new();
    for subject in subjects {
        let path = format!("{PATH}?subjectId={}", subject.as_str().unwrap());
        for response in client.items(&path) {
            *stored
                .entry(response["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    let receipts = shared.receipts.lock().unwrap();
    assert!(receipts.len() >= KILLED_AFTER);
    for (id, (response, number)) in receipts.iter() {
        assert_eq!(stored.get(id), Some(&1), "{id} was acknowledged");
        let (status, again) = client.post(PATH, response);
        assert_eq!(
            (status, again["receiptNo"].as_str()),
            (200, Some(number.as_str()))
        );
    }
    assert!(stored.values().all(|times| *times == 1));
    process.stop();
    let verified = run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{:?}", said(&verified));
}
