//! What the whole suite left behind holds nothing personal in the clear, and no secret of a
//! caller. Played last.

use std::path::{Path, PathBuf};

use crate::{
    cast::{self, Actor, PASSWORD},
    run::Outcome,
    secrets,
    world::World,
};

pub(super) async fn r_34_nothing_personal_is_written_down_in_the_clear(world: &World) -> Outcome {
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    make_mistakes(world, token).await;
    // The names are there: whoever may know them is shown them.
    let subject = format!("/api/v1/patient/{}", cast.own().id);
    let shown = world.get(token, subject).await.expect(200);
    assert_eq!(shown["patient"]["name"], secrets::name(1));

    for process in world.processes() {
        let metrics = world.metrics(process).await;
        secrets::assert_absent(metrics.as_bytes(), &format!("the metrics of {process}"));
        let failed = metrics
            .lines()
            .filter(|line| line.contains("status_code=\"500\""));
        assert_eq!(failed.collect::<Vec<_>>(), [""; 0], "{process}");
    }
    world.stop_all().await;
    let mut size = 0;
    let data = files(&world.data());
    assert!(data.len() >= 8, "{data:?}");
    // What is not personal is found by the same search, so it does look.
    assert_found(&data, &cast.own().response);
    assert_found(&files(&world.logs()), "/api/v1/patient/:patientId");
    for file in &data {
        size += search(file, &[PASSWORD]);
    }
    for file in files(&world.logs()) {
        let bytes = std::fs::read(&file).unwrap();
        let shown = file.display();
        for (what, mark) in [
            ("a panic", "panicked"),
            ("a token", "eyJ"),
            ("an authorization", "Bearer "),
            ("an internal failure", "\"status\":500"),
        ] {
            assert!(
                !secrets::contains(&bytes, mark.as_bytes()),
                "{what} is in {shown}"
            );
        }
        // What the first start printed is not logged.
        if file.extension().is_some_and(|extension| extension == "log") {
            assert!(
                !secrets::contains(&bytes, world.administrator().as_bytes()),
                "{shown}"
            );
        }
        size += search(&file, &[PASSWORD]);
    }
    Outcome::Measured(format!("{} kB searched", size / 1024))
}

/// Mistakes carry personal data as well: a refused person, a name in a path, in a query, in a
/// header, and a phone as a user name.
async fn make_mistakes(world: &World, token: &str) {
    let cast = world.cast().await;
    let mut person = cast::person(&cast.places[0], 41);
    person["birthDate"] = "never".into();
    person["identityNumber"] = format!("{}9", secrets::identity_number(42)).into();
    let refused = world.post(token, "/api/v1/patient", &person).await;
    assert_eq!(refused.faulty(), ["birthDate", "identityNumber"]);
    let name = secrets::name(41).split(' ').next().unwrap().to_owned();
    let (number, phone) = (secrets::identity_number(41), secrets::phone(41));
    for path in [
        format!("/api/v1/patient/{number}"),
        format!("/api/v1/patient?cursor={name}"),
        format!("/api/v1/{name}/{number}"),
        format!("/api/v1/trial/{name}/progress"),
    ] {
        let answer = world.call("GET", path).token(token).header("x-name", &name);
        let answer = answer.header("user-agent", &phone).send().await;
        assert!([400, 404].contains(&answer.status), "{answer}");
    }
    let login = serde_json::json!({"username": phone, "password": number});
    let answer = world
        .call("POST", "/api/v1/identity/login")
        .json(&login)
        .send()
        .await;
    assert_eq!(answer.problem(), (401, "LOGIN_FAILED"));
}

/// Searches a file for personal data and these other texts. Its size.
fn search(file: &Path, others: &[&str]) -> usize {
    let bytes = std::fs::read(file).unwrap();
    let shown = file.display().to_string();
    secrets::assert_absent(&bytes, &shown);
    for other in others {
        assert!(
            !secrets::contains(&bytes, other.as_bytes()),
            "{other} is in {shown}"
        );
    }
    bytes.len()
}

fn assert_found(files: &[PathBuf], text: &str) {
    let holds = |file: &PathBuf| secrets::contains(&std::fs::read(file).unwrap(), text.as_bytes());
    assert!(files.iter().any(holds), "{text} is in none of {files:?}");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
