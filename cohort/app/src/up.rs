//! `cohort up`: the whole platform in this process.
//!
//! What it prints on standard output is meant to be read by programs as well, a line each:
//!
//! ```text
//! gateway http://127.0.0.1:8080
//! progress http://127.0.0.1:8081
//! admin http://127.0.0.1:8889
//! administrator admin PASSWORD      (only on the first start; without the password if it was given)
//! {"gateway": ..., ...}             (only with --demo: what demo.json holds)
//! ready
//! ```
//!
//! Logs go to standard error. `/readyz` answers 200 from `ready` on.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use tenon::{
    Running, StartError, catalogue,
    config::{self, AdminConfig, LogConfig, Plaintext, TracesConfig},
    supervisor, telemetry,
};

use crate::{
    Outcome, account,
    arguments::Up,
    compose::{Platform, Settings, compose},
    data::Folder,
    demo, screen,
};

/// Runs until a signal.
pub(crate) fn run(arguments: &Up) -> Result<Outcome> {
    let Config { admin, log, traces } = read(arguments)?;
    let folder = Folder::new(&arguments.data.folder);
    let _lock = folder.lock()?;
    telemetry::init_logs(&arguments.log.over(log))?;
    let settings = Settings {
        folder,
        listen: arguments.listen,
        progress: arguments.progress,
        admin: AdminConfig {
            listen: arguments.admin.unwrap_or(admin.listen),
            ..admin
        },
        tls: arguments.tls(),
        plaintext: match arguments.plaintext {
            true => Plaintext::Allowed,
            false => Plaintext::Loopback,
        },
        batch_max: arguments.batch_max,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&settings, traces, arguments))?;
    Ok(Outcome::Good)
}

/// The file of `--config`: how the process is watched. Where its data is and who may reach it is
/// said by flags. The doors of all services are one address here, so that there is no section for
/// the door of one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    /// Health, metrics, the route table and profiles.
    #[serde(default)]
    admin: AdminConfig,
    /// The log.
    log: Option<LogConfig>,
    /// The traces.
    #[serde(default)]
    traces: TracesConfig,
}

/// Reads the file, if there is one, and says whether it and the flags are sound.
pub(crate) fn check(arguments: &Up) -> Result<()> {
    read(arguments).map(drop)
}

fn read(arguments: &Up) -> Result<Config> {
    reachable(arguments)?;
    match &arguments.config {
        Some(file) => Ok(config::load(file)?),
        None => Ok(Config::default()),
    }
}

/// Plaintext beyond this machine must be said.
fn reachable(arguments: &Up) -> Result<()> {
    for (flag, address) in [
        ("--listen", arguments.listen),
        ("--progress", arguments.progress),
    ] {
        if !address.ip().is_loopback() && !arguments.plaintext && arguments.tls_cert.is_none() {
            bail!(
                "{flag} {address} can be reached from other machines, and what is sent is not encrypted; \
                 give --tls-cert and --tls-key, or put a proxy with TLS before it and add --plaintext"
            );
        }
    }
    Ok(())
}

async fn serve(settings: &Settings, traces: TracesConfig, arguments: &Up) -> Result<()> {
    let runtime = tenon::Runtime::default();
    let life = runtime.life.clone();
    life.on_signals()?;
    let Platform { process, accounts } = compose(settings, runtime).await?;
    let ready = Arc::new(AtomicBool::new(false));
    let seen = ready.clone();
    let process = process.probe("start", move || {
        let ready = seen.load(Ordering::Acquire);
        async move {
            if ready {
                Ok(())
            } else {
                Err(catalogue::UNAVAILABLE.error())
            }
        }
    });
    let process = match &arguments.config {
        Some(file) => process.configured::<Config>(file)?,
        None => process,
    };
    let running = process
        .traces("cohort", traces)
        .start()
        .await
        .map_err(|problem| by_flags(&problem))?;
    let finished = tokio::select! {
        outcome = finish(&running, settings, &accounts, arguments) => Some(outcome),
        // Told to stop before it was ready.
        () = life.draining() => None,
    };
    match &finished {
        Some(Ok(())) => {
            ready.store(true, Ordering::Release);
            screen::say("ready");
            supervisor::ready();
        }
        Some(Err(_)) => life.drain(),
        None => {}
    }
    let ended = running.wait().await;
    finished.transpose()?;
    ended.map_err(|error| described(&error))
}

/// What is left to do once the doors are open: tell where they are, and make the first accounts.
async fn finish(
    running: &Running,
    settings: &Settings,
    accounts: &identity::ServiceContext,
    arguments: &Up,
) -> Result<()> {
    let address = |door: &str| {
        let found = running.address(door);
        found.with_context(|| format!("the door {door} is not open"))
    };
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let gateway = url(scheme, address("gateway.rest")?);
    let admin = url("http", address("admin")?);
    screen::say(format_args!("gateway {gateway}"));
    let progress = url(scheme, address("progress.rest")?);
    screen::say(format_args!("progress {progress}"));
    screen::say(format_args!("admin {admin}"));
    account::first(accounts, arguments.administrator_password.as_deref()).await?;
    if arguments.demo {
        let accounts = accounts.clone();
        let folder = settings.folder.clone();
        let made =
            tokio::task::spawn_blocking(move || demo::make(&folder, &gateway, &admin, &accounts));
        let made = made.await?.context("the demonstration could not be made")?;
        screen::say(made);
    }
    Ok(())
}

/// The address of a door for somebody on this machine.
fn url(scheme: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// A problem of the start in terms of the flags, where the text names keys of a configuration.
fn by_flags(problem: &StartError) -> anyhow::Error {
    let keys = [
        ("`gateway: rest.listen`", "`--listen`"),
        ("`progress: rest.listen`", "`--progress`"),
        ("`admin.listen`", "`--admin`"),
        ("gateway: rest.tls", "--tls-cert"),
    ];
    let text = keys.iter().fold(problem.to_string(), |text, (key, flag)| {
        text.replace(key, flag)
    });
    anyhow!(text)
}

/// An error with its cause, which the operator of the machine may see.
pub(crate) fn described(error: &tenon::Error) -> anyhow::Error {
    match error.cause_chain() {
        Some(cause) => anyhow!("{error}: {cause}"),
        None => anyhow!("{error}"),
    }
}
