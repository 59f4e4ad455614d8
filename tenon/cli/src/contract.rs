//! `tenon api` and `tenon rpc`: from one contract to a project.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use tenon_gen::Config;
use tenon_idl::{api, proto};

use crate::{
    disk::{self, Folder},
    generate::{self, CONFIG},
    report::{self, tell},
};

/// Reads a REST contract and says what is wrong.
pub(crate) fn validate(file: &Path) -> anyhow::Result<bool> {
    let (folder, root) = folder_of(file)?;
    match api::load(&folder, &root) {
        Ok(api) => {
            let routes = api
                .service
                .as_ref()
                .map_or(0, |service| service.routes().count());
            let types = api.types.len();
            tell(&format!(
                "{}: {routes} routes, {types} types, no findings",
                file.display()
            ));
            Ok(true)
        }
        Err(findings) => {
            report::findings(&folder, &findings);
            Ok(false)
        }
    }
}

/// Makes a project of a REST contract.
pub(crate) fn api(file: &Path, dir: &Path, tenon: Option<&Path>) -> anyhow::Result<bool> {
    let (beside, root) = folder_of(file)?;
    let contract = match api::load(&beside, &root) {
        Ok(contract) => contract,
        Err(findings) => {
            report::findings(&beside, &findings);
            return Ok(false);
        }
    };
    let Some(service) = contract.service else {
        bail!(
            "{} has no `service`; add one, or generate the file that imports it",
            file.display()
        );
    };
    make(dir)?;
    let path = disk::relative(file, dir)?;
    let config = Entry {
        name: &service.crate_name,
        key: "api",
        path: &path,
        includes: &[],
    };
    if !configure(dir, &config)? {
        return Ok(false);
    }
    generate::project(dir, false, tenon)
}

/// Makes a project of an RPC contract.
pub(crate) fn rpc(
    file: &Path,
    includes: &[std::path::PathBuf],
    dir: &Path,
    tenon: Option<&Path>,
) -> anyhow::Result<bool> {
    make(dir)?;
    let path = disk::relative(file, dir)?;
    let includes: Vec<String> = includes
        .iter()
        .map(|include| disk::relative(include, dir))
        .collect::<Result<_, _>>()?;
    let folder = Folder::new(dir);
    let looked_up: Vec<&str> = includes.iter().map(String::as_str).collect();
    let contract = match proto::load(&folder, &path, &looked_up) {
        Ok(contract) => contract,
        Err(findings) => {
            report::findings(&folder, &findings);
            return Ok(false);
        }
    };
    let Some(service) = contract.services.first() else {
        bail!("{} has no `service`; add one", file.display());
    };
    let package = contract.package.rsplit('.').next().unwrap_or_default();
    let name = if package.is_empty() {
        &service.name
    } else {
        package
    };
    let name = name
        .trim_end_matches("Service")
        .to_lowercase()
        .replace('_', "-");
    let config = Entry {
        name: &name,
        key: "proto",
        path: &path,
        includes: &includes,
    };
    if !configure(dir, &config)? {
        return Ok(false);
    }
    generate::project(dir, false, tenon)
}

/// What `tenon.toml` must say.
struct Entry<'a> {
    name: &'a str,
    key: &'a str,
    path: &'a str,
    includes: &'a [String],
}

/// Writes `tenon.toml` where it is absent, adds a second contract where it names only the other
/// kind, and refuses where it names another contract of the same kind.
fn configure(dir: &Path, entry: &Entry<'_>) -> anyhow::Result<bool> {
    let folder = Folder::new(dir);
    let place = folder.place(CONFIG);
    let Some(text) = folder.read(CONFIG)? else {
        let (rest, rpc) = match entry.key {
            "api" => (Some(entry.path), None),
            _ => (None, Some(entry.path)),
        };
        folder.write(
            CONFIG,
            &Config::text(entry.name, rest, rpc, entry.includes, true),
        )?;
        tell(&format!("created {}", place.display()));
        return Ok(true);
    };
    let config = match Config::parse(&text, CONFIG) {
        Ok(config) => config,
        Err(findings) => {
            report::findings(&folder, &findings);
            return Ok(false);
        }
    };
    let named = if entry.key == "api" {
        &config.api
    } else {
        &config.proto
    };
    match named {
        Some(path) if path == entry.path => Ok(true),
        Some(path) => bail!(
            "{} names the contract {path}; change `{} = ` there if it shall be {}",
            place.display(),
            entry.key,
            entry.path
        ),
        None => add(&folder, &text, entry).map(|()| true),
    }
}

/// Adds a contract to a `tenon.toml` that a person may have edited: one line, nothing else.
fn add(folder: &Folder, text: &str, entry: &Entry<'_>) -> anyhow::Result<()> {
    let place = folder.place(CONFIG);
    let line = format!("{} = {:?}", entry.key, entry.path);
    let scaffolded = format!("# {} = ", entry.key);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.starts_with(&scaffolded));
    match (at, lines.iter().position(|line| line.trim() == "[service]")) {
        (Some(at), _) => lines[at].clone_from(&line),
        (None, Some(header)) => lines.insert(header + 1, line.clone()),
        (None, None) => bail!("{}: add `{line}` under [service]", place.display()),
    }
    if !entry.includes.is_empty() {
        let includes = format!("includes = {:?}", entry.includes);
        match lines
            .iter()
            .position(|line| line.starts_with("# includes = "))
        {
            Some(at) => lines[at] = includes,
            None => bail!("{}: add `{includes}` under [service]", place.display()),
        }
    }
    let changed = lines.join("\n") + "\n";
    let sound = Config::parse(&changed, CONFIG).is_ok_and(|config| {
        let named = if entry.key == "api" {
            config.api
        } else {
            config.proto
        };
        named.as_deref() == Some(entry.path)
    });
    if !sound {
        bail!("{}: add `{line}` under [service]", place.display());
    }
    folder.write(CONFIG, &changed)?;
    tell(&format!("updated {}: {line}", place.display()));
    Ok(())
}

/// The folder of a contract and its name in it.
fn folder_of(file: &Path) -> anyhow::Result<(Folder, String)> {
    if !file.is_file() {
        bail!("there is no contract {}", file.display());
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} is not UTF-8; rename it", file.display()))?;
    Ok((Folder::new(folder), name.to_owned()))
}

fn make(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))
}
