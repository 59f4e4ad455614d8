//! `cohort up --demo`: a study to play with, made through the services' own operations. Run
//! again it finds everything by its name and changes nothing.
//!
//! Nobody in it exists: names say so, and the identity numbers are published specimens.

mod accounts;
mod study;

use anyhow::{Context as _, Result, bail};
use clinical::instrument;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::accounts::Accounts;
use crate::{
    api::Api,
    data::{self, Folder},
};

/// What `demo.json` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Demo {
    /// The address of the REST interface.
    gateway: String,
    /// The address of the admin server.
    admin: String,
    /// One account for each role, and a second patient and coordinator.
    accounts: Vec<Account>,
    /// The study.
    trial_id: String,
    /// Its subjects: first those who are enrolled, then who is in screening, then who withdrew.
    subject_ids: Vec<String>,
    /// The published questionnaires as `url|version`.
    questionnaires: Vec<String>,
}

/// An account of the demonstration. Its password is for everybody who may read `demo.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    username: String,
    password: String,
    role: String,
    /// The subject of a patient's account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    subject_id: Option<String>,
}

/// Makes what is missing, writes `demo.json`, and gives its content on one line. It blocks, and
/// is called where the platform serves on `gateway`.
pub(crate) fn make(
    folder: &Folder,
    gateway: &str,
    admin: &str,
    identity: &identity::ServiceContext,
) -> Result<String> {
    let mut accounts = Accounts::new(identity, known(folder)?);
    let api = Api::new(gateway, 2)?;
    let administrator = accounts.ensure("demo-admin", accounts::everywhere("admin")?, None)?;
    let administrator = accounts.login(&api, &administrator)?;
    let questionnaires = publish(&administrator)?;
    let study = study::make(&administrator, &questionnaires)?;
    let coordinator =
        accounts.ensure("demo-coordinator", study.grant("coordinator", None)?, None)?;
    let coordinator = accounts.login(&api, &coordinator)?;
    let subjects = study::enrol(&coordinator, &study)?;
    for (name, role, site) in [
        ("demo-sponsor", "sponsor", None),
        ("demo-investigator", "investigator", Some(0)),
        ("demo-coordinator-2", "coordinator", Some(1)),
        ("demo-monitor", "monitor", None),
    ] {
        accounts.ensure(name, study.grant(role, site)?, None)?;
    }
    for (number, subject) in (1..).zip(subjects.iter().take(2)) {
        let name = format!("demo-patient-{number}");
        accounts.ensure(&name, study.grant("patient", None)?, Some(subject))?;
    }
    let demo = Demo {
        gateway: gateway.to_owned(),
        admin: admin.to_owned(),
        accounts: accounts.made,
        trial_id: study.id,
        subject_ids: subjects,
        questionnaires,
    };
    let mut text = serde_json::to_vec_pretty(&demo)?;
    text.push(b'\n');
    data::write_private(&folder.demo(), &text)?;
    Ok(serde_json::to_string(&demo)?)
}

/// The accounts of an earlier `demo.json`, whose passwords are written nowhere else.
fn known(folder: &Folder) -> Result<Vec<Account>> {
    let path = folder.demo();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let demo: Demo = serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} cannot be read; remove it to get new passwords",
                    path.display()
                )
            })?;
            Ok(demo.accounts)
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(cause).with_context(|| path.display().to_string()),
    }
}

/// Publishes the questionnaires that come with the platform; those that are there already are
/// left as they are.
fn publish(administrator: &Api) -> Result<Vec<String>> {
    let mut published = Vec::new();
    for shipped in instrument::shipped() {
        let questionnaire: Value = serde_json::from_str(shipped.json)?;
        let (_, made) = administrator
            .post("/epro/questionnaire", &questionnaire)
            .with_context(|| format!("the questionnaire {}", shipped.name))?;
        let (url, version) = (text(&made, "url")?, text(&made, "version")?);
        published.push(format!("{url}|{version}"));
    }
    Ok(published)
}

/// The member of an answer that has to be there.
fn text(value: &Value, name: &str) -> Result<String> {
    let Some(text) = value.get(name).and_then(Value::as_str) else {
        bail!("the answer has no {name}");
    };
    Ok(text.to_owned())
}

/// The item of a list whose member is this text, made if there is none.
fn find_or_make(
    api: &Api,
    path: &str,
    (name, wanted): (&str, &str),
    make: impl FnOnce() -> Value,
) -> Result<Value> {
    let is_wanted = |item: &Value| item.get(name).and_then(Value::as_str) == Some(wanted);
    if let Some(found) = api.items(path)?.into_iter().find(is_wanted) {
        return Ok(found);
    }
    let mut body = make();
    body[name] = json!(wanted);
    Ok(api.post(path, &body)?.1)
}
