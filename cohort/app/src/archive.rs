//! `cohort backup` and `cohort restore`: all data and its keys as one tar file.
//!
//! The file begins with `manifest.json`, which names every other part with its size and SHA-256;
//! then come the databases and the keys. The digests find damage, not forgery: whoever can change
//! the file can change the manifest.

mod manifest;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use tenon::{Context, store};

use self::manifest::{MANIFEST, Manifest, Part};
use crate::{
    Outcome,
    arguments::Data,
    audit,
    data::{self, Folder, SERVICES},
    screen,
};

/// The largest manifest that is read: it has a hundred bytes for each part.
const MANIFEST_MAX: u64 = 1 << 20;

/// Copies the data into one file, also while the platform works on it.
///
/// Each database is copied as it is at one moment, those that refer to others before them. The
/// keys come last, so that nothing is copied that was sealed by a key that the copy lacks.
pub(crate) fn backup(data: &Data, out: &Path) -> Result<Outcome> {
    let folder = Folder::existing(&data.folder)?;
    ensure!(
        !out.exists(),
        "{} exists; a backup needs a new file",
        out.display()
    );
    let staging = Staging::beside(out, "parts")?;
    let cx = Context::background();
    let mut names = Vec::new();
    for service in SERVICES {
        let name = format!("{service}.db");
        store::backup_file(&cx, folder.database(service), staging.0.join(&name))?;
        names.push(name);
    }
    names.extend(copy_keys(&folder.keys(), &staging.0)?);
    let manifest = Manifest::of(&staging.0, &names)?;
    let bytes = write(&manifest, &staging.0, out)?;
    screen::say(format_args!(
        "{} parts, {bytes} bytes in {}",
        manifest.parts.len(),
        out.display()
    ));
    screen::tell(
        "attention: the backup holds the keys with the data. Whoever reads this file reads every name, \
         identity number and phone in it, and can sign tokens; keep it as you keep the keys",
    );
    Ok(Outcome::Good)
}

/// Brings a backup back. The folder appears only when every part was read, its digest is right,
/// its database is sound and its audit trail verifies.
pub(crate) fn restore(from: &Path, data: &Data) -> Result<Outcome> {
    let target = data.folder.as_path();
    match data::is_empty(target) {
        Ok(true) => {}
        Ok(false) => bail!(
            "{} is not empty; restore into a new folder and keep this one until all is well",
            target.display()
        ),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => {
            return Err(cause).with_context(|| format!("{} cannot be read", target.display()));
        }
    }
    let staging = Staging::beside(target, "restoring")?;
    let unread = || format!("{} cannot be restored", from.display());
    let manifest = unpack(from, &staging.0).with_context(unread)?;
    examine(&Folder::new(&staging.0)).with_context(unread)?;
    staging.become_folder(target)?;
    screen::say(format_args!(
        "restored {} parts of {} into {}",
        manifest.parts.len(),
        manifest.created_at,
        target.display()
    ));
    Ok(Outcome::Good)
}

/// Checks the databases and their audit trails.
fn examine(folder: &Folder) -> Result<()> {
    let mut outcome = Outcome::Good;
    for service in SERVICES {
        store::check_file(&folder.database(service))?;
        for line in audit::examine(folder, service, &mut outcome) {
            screen::tell(line);
        }
    }
    ensure!(
        outcome == Outcome::Good,
        "the audit trail in it does not verify"
    );
    Ok(())
}

/// Copies the key files; their names as parts.
fn copy_keys(keys: &Path, to: &Path) -> Result<Vec<String>> {
    let unread = || format!("the keys in {} cannot be copied", keys.display());
    let copy = || -> io::Result<Vec<String>> {
        DirBuilder::new().mode(0o700).create(to.join("keys"))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(keys)? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Hidden names are those of files that are just being written.
            if hidden || !entry.file_type()?.is_file() {
                continue;
            }
            let part = format!("keys/{name}");
            let mut copy = new_private(&to.join(&part))?;
            io::copy(&mut File::open(entry.path())?, &mut copy)?;
            names.push(part);
        }
        names.sort();
        Ok(names)
    };
    let names = copy().with_context(unread)?;
    ensure!(
        !names.is_empty(),
        "{} holds no keys; without them the data cannot be opened",
        keys.display()
    );
    Ok(names)
}

/// Writes the parts to `out`, which appears when it is whole; its size.
fn write(manifest: &Manifest, parts: &Path, out: &Path) -> Result<u64> {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Unfinished(PathBuf::from(partial));
    let write = || -> io::Result<u64> {
        let mut tar = tar::Builder::new(new_private(&partial.0)?);
        let text = manifest.to_json()?;
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_mtime(manifest.created_at.as_second().try_into().unwrap_or(0));
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, MANIFEST, text.as_slice())?;
        for part in &manifest.parts {
            header.set_size(part.bytes);
            let file = File::open(parts.join(&part.name))?;
            tar.append_data(&mut header, &part.name, file.take(part.bytes))?;
        }
        let file = tar.into_inner()?;
        file.sync_all()?;
        // A hard link never replaces a file that came meanwhile.
        fs::hard_link(&partial.0, out)?;
        data::sync_parent(out)?;
        Ok(file.metadata()?.len())
    };
    write().with_context(|| format!("{} cannot be written", out.display()))
}

/// Reads the parts into the folder `to`: those of the manifest, all of them and no others.
fn unpack(from: &Path, to: &Path) -> Result<Manifest> {
    let mut tar = tar::Archive::new(File::open(from)?);
    let mut entries = tar.entries()?;
    // The reader's own errors are not told: they show bytes of what may be anybody's file.
    let first = match entries.next() {
        None => bail!("it is empty"),
        Some(Ok(first)) if first.path()?.as_ref() == Path::new(MANIFEST) => first,
        _ => bail!(
            "it is no backup of cohort: it does not begin with {MANIFEST}; give the file that `cohort backup` wrote"
        ),
    };
    let mut text = Vec::new();
    first.take(MANIFEST_MAX).read_to_end(&mut text)?;
    let manifest = Manifest::read(&text)?;
    DirBuilder::new().mode(0o700).create(to.join("keys"))?;
    let mut missing: Vec<&Part> = manifest.parts.iter().collect();
    for entry in entries {
        let Ok(mut entry) = entry else {
            bail!("it is damaged: one of its parts begins with no header");
        };
        let path = entry.path()?.into_owned();
        let listed = missing
            .iter()
            .position(|part| Path::new(&part.name) == path);
        let Some(listed) = listed else {
            bail!("{} is not in its manifest", path.display());
        };
        let part = missing.swap_remove(listed);
        ensure!(
            entry.header().entry_type().is_file() && entry.size() == part.bytes,
            "{} is not what its manifest says",
            part.name
        );
        let mut file = new_private(&to.join(&part.name))?;
        io::copy(&mut entry, &mut file)?;
        file.sync_all()?;
        ensure!(
            manifest::digest(&to.join(&part.name))? == part.sha256,
            "{} is damaged: its digest is not that of its manifest",
            part.name
        );
    }
    if let Some(part) = missing.first() {
        bail!("{} is missing; the file was cut off", part.name);
    }
    Ok(manifest)
}

fn new_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// A folder for work in progress. It goes when the work ends, because it holds keys.
struct Staging(PathBuf);

impl Staging {
    fn beside(path: &Path, purpose: &str) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{purpose}-{}", std::process::id()));
        let folder = data::parent(path).join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self(folder))
    }

    /// Gives the folder its name for good.
    fn become_folder(&self, target: &Path) -> Result<()> {
        let finish = || -> io::Result<()> {
            File::open(&self.0)?.sync_all()?;
            // A folder may be renamed onto an empty one, and onto nothing else.
            fs::rename(&self.0, target)?;
            data::sync_parent(target)
        };
        finish().with_context(|| format!("{} cannot be made", target.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that goes when the work on it ends: by then it has its other name, or failed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
