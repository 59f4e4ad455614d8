//! `cohort account`: what an operator of the machine does for somebody who cannot log in.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use identity::setup::{self, Credentials};
use secrecy::ExposeSecret;
use tenon::{
    Clock, Context, SystemClock,
    store::{Db, Options},
};

use crate::{Outcome, arguments::Data, data::Folder, screen, up::described};

/// Gives an account a new random password and prints it once. The platform may run meanwhile:
/// the sessions of the account end with their next refresh.
pub(crate) fn reset(username: &str, data: &Data) -> Result<Outcome> {
    let file = Folder::existing(&data.folder)?.database("identity");
    ensure!(file.exists(), "{} does not exist", file.display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let credentials: tenon::Result<Credentials> = runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let db = Db::open(Options::new(file), identity::MIGRATIONS).await?;
        let cx = Context::background();
        let outcome = setup::reset_account(&cx, &db, clock.as_ref(), username).await;
        let closed = db.close().await;
        let credentials = outcome?;
        closed?;
        Ok(credentials)
    });
    let credentials = credentials
        .map_err(|error| described(&error))
        .with_context(|| format!("the account {username:?} has its old password still"))?;
    screen::say(shown("account", &credentials));
    Ok(Outcome::Good)
}

/// Makes the first administrator where there was never one. A random password is shown here, once,
/// and never logged; one that was given in a file is known to whoever gave it.
pub(crate) async fn first(accounts: &identity::ServiceContext, given: Option<&Path>) -> Result<()> {
    let cx = Context::background();
    let made = setup::ensure_administrator(&cx, accounts, given).await;
    let made = made
        .map_err(|error| described(&error))
        .context("the first administrator cannot be made")?;
    match made {
        Some(first) if given.is_some() => {
            screen::say(format_args!("administrator {}", first.username));
        }
        Some(first) => screen::say(shown("administrator", &first)),
        None => {}
    }
    Ok(())
}

/// The line that shows a new password: `<what> <user name> <password>`.
pub(crate) fn shown(what: &str, credentials: &Credentials) -> String {
    let Credentials { username, password } = credentials;
    format!("{what} {username} {}", password.expose_secret())
}
