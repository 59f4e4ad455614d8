//! A log file that ends when it is large or the day is over, and its predecessors: so many are
//! kept, compressed.
//!
//! It also notices when somebody else moved the file away, as `logrotate` does, and begins
//! another.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use tenon_core::config::{ConfigError, LogFileConfig};

use super::sink::Output;

/// Readable for the group, because those who collect logs are seldom the service itself.
const MODE: u32 = 0o640;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The file that is written.
pub(super) struct RotatingFile {
    config: LogFileConfig,
    open: Option<Open>,
}

struct Open {
    file: File,
    bytes: usize,
    /// Days since 1970 of its last line before it was opened.
    day: i64,
    /// What it is, whatever its name.
    identity: (u64, u64),
}

impl RotatingFile {
    /// Opens the file, or goes on with what is there.
    pub(super) fn open(config: &LogFileConfig) -> Result<Self, ConfigError> {
        let open = Open::at(&config.path).map_err(|cause| {
            let path = config.path.display();
            let problem = format!("{path} cannot be written: {cause}; its folder must exist");
            ConfigError::new("log.file.path", problem)
        })?;
        Ok(Self {
            config: config.clone(),
            open: Some(open),
        })
    }

    /// Ends the file if the next lines belong into another.
    fn turn(&mut self, bytes: usize, today: i64) -> io::Result<()> {
        let due = self.open.as_ref().is_some_and(|open| {
            let large = open.bytes > 0 && open.bytes + bytes > self.config.max_bytes;
            large || (self.config.daily && open.bytes > 0 && open.day < today)
        });
        if due {
            self.open = None;
            let ended = ended_name(&self.config.path);
            fs::rename(&self.config.path, &ended)?;
            let config = self.config.clone();
            // Beside the writer, which must not wait for it: 100 MiB take a second.
            let tidying = move || tidy(&config, &ended);
            let named = thread::Builder::new().name("log-gzip".to_owned());
            named.spawn(tidying)?;
        }
        if self.open.is_none() {
            self.open = Some(Open::at(&self.config.path)?);
        }
        Ok(())
    }

    fn write_on(&mut self, lines: &[u8], today: i64) -> io::Result<()> {
        self.turn(lines.len(), today)?;
        if let Some(open) = &mut self.open {
            open.file.write_all(lines)?;
            open.bytes += lines.len();
            open.day = today;
        }
        Ok(())
    }
}

impl Output for RotatingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let today = jiff::Timestamp::now().as_second().div_euclid(SECONDS_A_DAY);
        let written = self.write_on(lines, today);
        if written.is_err() {
            // The next lines try to open it again.
            self.open = None;
        }
        written
    }

    fn tick(&mut self) {
        let there = fs::metadata(&self.config.path).map(|found| identity(&found));
        let own = self.open.as_ref().map(|open| open.identity);
        if own.is_some() && there.ok() != own {
            self.open = None;
        }
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(MODE).open(path)?;
        let found = file.metadata()?;
        Ok(Self {
            bytes: usize::try_from(found.len()).unwrap_or(usize::MAX),
            day: found.mtime().div_euclid(SECONDS_A_DAY),
            identity: identity(&found),
            file,
        })
    }
}

fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// `service.log.20261128T134501.123456Z`: names sort as their times do.
fn ended_name(path: &Path) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%6fZ");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{now}"));
    PathBuf::from(name)
}

/// Compresses the file that ended and removes those that are too many. What fails is tried again
/// at the next end: the log itself is not touched.
fn tidy(config: &LogFileConfig, ended: &Path) {
    if config.gzip
        && let Err(cause) = compress(ended)
    {
        tracing::warn!(target: "log", %cause, "an ended log file could not be compressed");
    }
    if let Err(cause) = remove_old(config) {
        tracing::warn!(target: "log", %cause, "old log files could not be removed");
    }
}

fn compress(ended: &Path) -> io::Result<()> {
    let with = |extension: &str| {
        let mut name = OsString::from(ended.as_os_str());
        name.push(extension);
        PathBuf::from(name)
    };
    let half = with(".gz.part");
    let mut options = OpenOptions::new();
    let target = options.write(true).create(true).truncate(true).mode(MODE);
    let mut encoder = GzEncoder::new(target.open(&half)?, Compression::default());
    io::copy(&mut File::open(ended)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&half, with(".gz"))?;
    fs::remove_file(ended)
}

fn remove_old(config: &LogFileConfig) -> io::Result<()> {
    let mut ended = ended_files(&config.path)?;
    let many = ended.len().saturating_sub(config.keep);
    ended.truncate(many);
    ended.iter().try_for_each(|old| match fs::remove_file(old) {
        // Another tidying, or an operator, was there first.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    })
}

/// The ended files of a log, the oldest first.
fn ended_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        let stamp = other.to_str().and_then(|other| other.strip_prefix(&prefix));
        // Only what was named here: a neighbour may have a name that begins alike.
        let own = stamp.is_some_and(|stamp| {
            let time = stamp.trim_end_matches(".gz");
            time.len() == "20261128T134501.123456Z".len() && time.ends_with('Z')
        });
        if own {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tenon-log-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn config(folder: &Path) -> LogFileConfig {
        LogFileConfig {
            path: folder.join("service.log"),
            max_bytes: 100,
            daily: true,
            keep: 3,
            gzip: false,
        }
    }

    #[test]
    fn a_large_file_ends_and_only_the_last_ones_are_kept() {
        let folder = folder("large");
        let config = config(&folder);
        fs::write(folder.join("service.log.old"), "a neighbour").unwrap();
        let mut file = RotatingFile::open(&config).unwrap();
        for number in 0..50 {
            file.write(format!("{number:09}\n").as_bytes()).unwrap();
            // The thread that tidies is not waited for by the writer; here it is done at once.
            remove_old(&config).unwrap();
        }
        let ended = ended_files(&config.path).unwrap();
        assert_eq!(ended.len(), 3, "{ended:?}");
        let texts: Vec<String> = ended
            .iter()
            .chain([&config.path])
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let expected: String = (10..50).map(|number| format!("{number:09}\n")).collect();
        assert_eq!(texts.concat(), expected);
        assert!(texts.iter().all(|text| text.len() <= 100));
        assert!(folder.join("service.log.old").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_day_ends_the_file() {
        let folder = folder("daily");
        let config = config(&folder);
        let mut file = RotatingFile::open(&config).unwrap();
        file.write_on(b"monday\n", 20_000).unwrap();
        file.write_on(b"also monday\n", 20_000).unwrap();
        file.write_on(b"tuesday\n", 20_001).unwrap();
        assert_eq!(ended_files(&config.path).unwrap().len(), 1);
        assert_eq!(fs::read_to_string(&config.path).unwrap(), "tuesday\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_ended_file_is_compressed_whole() {
        let folder = folder("gzip");
        let ended = folder.join("service.log.20261128T134501.123456Z");
        let text = "a line\n".repeat(10_000);
        fs::write(&ended, &text).unwrap();
        compress(&ended).unwrap();
        assert!(!ended.exists());
        let packed = File::open(folder.join("service.log.20261128T134501.123456Z.gz")).unwrap();
        let mut unpacked = String::new();
        let mut decoder = flate2::read::GzDecoder::new(packed);
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_again() {
        let folder = folder("moved");
        let config = config(&folder);
        let mut file = RotatingFile::open(&config).unwrap();
        file.write(b"before\n").unwrap();
        fs::rename(&config.path, folder.join("elsewhere")).unwrap();
        file.tick();
        file.write(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&config.path).unwrap(), "after\n");
        assert_eq!(
            fs::read_to_string(folder.join("elsewhere")).unwrap(),
            "before\n"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_missing_is_told() {
        let mut config = config(Path::new("/nonexistent"));
        config.keep = 1;
        let refused = RotatingFile::open(&config).err().unwrap().to_string();
        assert!(refused.contains("log.file.path"), "{refused}");
    }
}
