//! The outbox: events follow their transactions, in order, until they are taken.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tenon_core::{Context, Error, Result, catalogue};
use tenon_store::{
    Db,
    outbox::{self, Event},
};
use uuid::Uuid;

use crate::fixture::Fixture;

async fn put(db: &Db, key: &str) -> Uuid {
    let event = Event::new("subject.enrolled", key, serde_json::json!({ "n": 1 }));
    let id = event.id;
    db.write(&Context::background(), async move |tx| {
        outbox::put(tx, &event).await
    })
    .await
    .unwrap();
    id
}

async fn wait_until_empty(db: &Db) {
    let cx = Context::background();
    while outbox::waiting(db, &cx).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_come_in_order_and_again_until_they_are_taken() {
    let fixture = Fixture::new().await;
    let early = [put(&fixture.db, "a").await, put(&fixture.db, "b").await];
    let taken = Arc::new(Mutex::new((Vec::new(), 0)));
    let (cx, guard) = fixture.cx.with_cancel();
    let (db, seen) = (fixture.db.clone(), taken.clone());
    let deliverer = tokio::spawn(async move {
        outbox::deliver(&db, &cx, async move |event: &Event| {
            let mut seen = seen.lock().unwrap();
            if event.key == "b" && seen.1 < 2 {
                seen.1 += 1;
                let busy = catalogue::UNAVAILABLE.error();
                return Err(busy.retry_after(Duration::from_millis(1)));
            }
            seen.0.push(event.id);
            Ok(())
        })
        .await
    });
    wait_until_empty(&fixture.db).await;
    // What comes later wakes the deliverer by itself.
    let late = put(&fixture.db, "c").await;
    wait_until_empty(&fixture.db).await;
    assert_eq!(*taken.lock().unwrap(), (vec![early[0], early[1], late], 2));
    drop(guard);
    assert!(deliverer.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_event_of_a_write_that_was_undone_is_never_sent() {
    let fixture = Fixture::new().await;
    let undone = fixture.db.write(&fixture.cx, async |tx| {
        let event = Event::new("subject.enrolled", "a", serde_json::Value::Null);
        outbox::put(tx, &event).await?;
        Err::<(), _>(Error::invalid(Vec::new()))
    });
    assert!(undone.await.is_err());
    assert_eq!(outbox::waiting(&fixture.db, &fixture.cx).await.unwrap(), 0);
}

#[tokio::test]
async fn the_receiver_handles_an_event_once() {
    let fixture = Fixture::new().await;
    let id = Uuid::now_v7();
    let handle = async move |tx: &mut tenon_store::Tx| -> Result<bool> {
        if outbox::seen(tx, id).await? {
            return Ok(false);
        }
        let sql = "INSERT INTO item (id, body) VALUES (1, 'handled')";
        tx.execute(sql, &[]).await.map(|_| true)
    };
    assert!(fixture.db.write(&fixture.cx, handle).await.unwrap());
    assert!(!fixture.db.write(&fixture.cx, handle).await.unwrap());
    assert_eq!(fixture.count().await, 1);
}

#[tokio::test]
async fn a_deliverer_does_not_commit_once_for_each_event() {
    let fixture = Fixture::new().await;
    let (cx, guard) = fixture.cx.with_cancel();
    let db = fixture.db.clone();
    let deliverer =
        tokio::spawn(async move { outbox::deliver(&db, &cx, async |_: &Event| Ok(())).await });
    let before = fixture.db.stats().commits;
    for number in 0..100 {
        put(&fixture.db, &number.to_string()).await;
    }
    wait_until_empty(&fixture.db).await;
    let commits = fixture.db.stats().commits - before;
    // A hundred writes that follow each other are a hundred commits; what delivery adds depends
    // on the time that they take, and is far from another hundred.
    assert!((100..190).contains(&commits), "{commits}");
    drop(guard);
    assert!(deliverer.await.unwrap().is_ok());
}
