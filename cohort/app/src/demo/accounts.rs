//! The accounts of the demonstration, with random passwords that `demo.json` alone keeps.

use anyhow::{Context as _, Result};
use cohort_access::{Grant, Role};
use identity::{Draft, setup};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tenon::Context;
use tokio::runtime::Handle;

use super::{Account, text};
use crate::{api::Api, up::described};

/// Makes accounts, and remembers their passwords.
pub(super) struct Accounts<'a> {
    identity: &'a identity::ServiceContext,
    known: Vec<Account>,
    /// All accounts so far.
    pub(super) made: Vec<Account>,
}

impl<'a> Accounts<'a> {
    /// `known` are those of an earlier start.
    pub(super) fn new(identity: &'a identity::ServiceContext, known: Vec<Account>) -> Self {
        Self {
            identity,
            known,
            made: Vec::new(),
        }
    }

    /// Makes the account if it is missing. One that is there keeps its password, unless nobody
    /// knows it any more.
    pub(super) fn ensure(
        &mut self,
        username: &str,
        grant: Grant,
        subject: Option<&str>,
    ) -> Result<Account> {
        let known = self
            .known
            .iter()
            .find(|account| account.username == username);
        let known = known.map(|account| SecretString::from(account.password.clone()));
        let is_known = known.is_some();
        let password = match known {
            Some(password) => password,
            None => identity::password::random().map_err(|error| described(&error))?,
        };
        let role = grant.role.as_str().to_owned();
        let mut draft = Draft::new(username, password.clone());
        draft.grants.push(grant);
        draft.subject_id = subject.map(str::to_owned);
        let cx = Context::background();
        let ensured = Handle::current().block_on(setup::ensure_account(&cx, self.identity, draft));
        let ensured = ensured
            .map_err(|error| described(&error))
            .with_context(|| format!("the account {username}"))?;
        let password = match ensured.created || is_known {
            true => password,
            false => self.reset(username)?,
        };
        let account = Account {
            username: username.to_owned(),
            password: password.expose_secret().to_owned(),
            role,
            subject_id: subject.map(str::to_owned),
        };
        self.made.push(account.clone());
        Ok(account)
    }

    /// The interface as this account. Where its password was changed since, it gets a new one.
    pub(super) fn login(&mut self, api: &Api, account: &Account) -> Result<Api> {
        let ask = |password: &str| {
            let body = json!({"username": account.username, "password": password});
            api.post("/identity/login", &body)
        };
        let tokens = match ask(&account.password) {
            Err(failure) if failure.is_status(401) => {
                let password = self.reset(&account.username)?.expose_secret().to_owned();
                let tokens = ask(&password);
                let made = self.made.iter_mut();
                for made in made.filter(|made| made.username == account.username) {
                    made.password.clone_from(&password);
                }
                tokens
            }
            outcome => outcome,
        };
        let (_, tokens) = tokens.with_context(|| format!("the login of {}", account.username))?;
        Ok(api.with_token(&text(&tokens, "accessToken")?))
    }

    fn reset(&self, username: &str) -> Result<SecretString> {
        let cx = Context::background();
        let (db, clock) = (&self.identity.db, self.identity.clock.as_ref());
        let reset = setup::reset_account(&cx, db, clock, username);
        let credentials = Handle::current().block_on(reset);
        Ok(credentials.map_err(|error| described(&error))?.password)
    }
}

/// A role in the whole installation.
pub(super) fn everywhere(role: &str) -> Result<Grant> {
    Ok(Grant {
        role: role.parse::<Role>()?,
        study: None,
        site: None,
    })
}
