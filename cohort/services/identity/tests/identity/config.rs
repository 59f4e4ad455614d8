//! The configuration: what it leaves out, or changes while the service runs, opens no door to
//! guessers.

use std::{path::Path, sync::Arc};

use identity::{Config, config::LOGINS_A_MINUTE};
use tenon::{Runtime, SystemClock, config, rest::Door};

const FILE: &str = "identity.yaml";

/// The file of a service in this folder, with more of it.
fn file(folder: &Path, more: &str) -> String {
    let folder = folder.display();
    format!(
        "name: identity\nstore: {{ path: {folder}/data.db }}\nkeys: {{ dir: {folder}/keys }}\n{more}"
    )
}

/// The limits of how often may be asked to log in, as operators see them.
fn logins(door: &Door) -> Vec<String> {
    let rows = door.table().unwrap();
    let login = rows.iter().find(|row| row.handler == "login").unwrap();
    let limits = login.layers.iter().filter(|it| it.name == "rate-limit");
    limits.map(|layer| layer.settings.clone()).collect()
}

#[tokio::test]
async fn logging_in_is_limited_whatever_else_is_said_of_the_door() {
    let all = "rest:\n  rateLimits:\n  - { name: all, by: route, requests: 9 }\n";
    let own = "rest:\n  rateLimits:\n  - { name: login, by: address, requests: 5, per: 60s }\n";
    let usual = format!("login by address {LOGINS_A_MINUTE}/60s burst {LOGINS_A_MINUTE}");
    let cases = [
        ("", vec![usual.clone()]),
        ("rest: { listen: 127.0.0.1:0 }\n", vec![usual.clone()]),
        ("rest: { maxInFlight: 500 }\n", vec![usual.clone()]),
        (all, vec!["all by route 9/1s burst 9".to_owned(), usual]),
        (own, vec!["login by address 5/60s burst 5".to_owned()]),
    ];
    for (at_first, expected) in &cases {
        let folder = tempfile::tempdir().unwrap();
        let text = file(folder.path(), at_first);
        let config: Config = config::parse(&text, FILE.as_ref()).unwrap();
        let runtime = Runtime::default();
        let strict = |text: &str| config::parse::<Config>(text, FILE.as_ref()).map(drop);
        runtime.reload.begin(&text, FILE.as_ref(), strict).unwrap();
        let built = identity::build(config, Arc::new(SystemClock));
        let mut open = built.await.unwrap().service.open(&runtime).unwrap();
        let door = open.take_rest().unwrap();
        assert_eq!(logins(&door), *expected, "{at_first}");
        for (later, expected) in &cases {
            let taken = runtime.reload.take(&file(folder.path(), later));
            taken.unwrap();
            assert_eq!(logins(&door), *expected, "{at_first} then {later}");
        }
    }
}
