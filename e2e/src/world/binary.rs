//! The binary under test: the one that stands beside this test program.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

static COHORT: LazyLock<PathBuf> = LazyLock::new(|| {
    // target/<profile>/deps/<test program>
    let program = env::current_exe().unwrap();
    let profile = program.parent().and_then(Path::parent).unwrap();
    let binary = profile.join(format!("cohort{}", env::consts::EXE_SUFFIX));
    if !binary.exists() {
        build(profile);
    }
    assert!(
        binary.exists(),
        "{} is missing; run `cargo build -p cohort` first",
        binary.display()
    );
    if let Some(source) = newer_source(&binary) {
        println!(
            "note: {} is older than {}; `cargo build -p cohort` brings it up to date",
            binary.display(),
            source.display()
        );
    }
    binary
});

/// A source of the platform or the toolkit that was changed after the binary was built.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let built = binary.metadata().and_then(|data| data.modified()).ok()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let mut folders = vec![root.join("cohort"), root.join("tenon")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                // Tests are no part of the binary.
                if !path.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            let is_source = path
                .extension()
                .is_some_and(|name| name == "rs" || name == "sql");
            let changed = entry.metadata().and_then(|data| data.modified());
            if is_source && changed.is_ok_and(|changed| changed > built) {
                return Some(path);
            }
        }
    }
    None
}

/// The path of the `cohort` binary, which is built if it is missing.
pub fn cohort() -> &'static Path {
    &COHORT
}

fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "-p", "cohort", "--profile", name])
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .status();
    assert!(
        built.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cohort could not be built: {built:?}"
    );
}
