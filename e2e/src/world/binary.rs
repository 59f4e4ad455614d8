//! The binary under test: the one that stands beside this test program.

use std::{
    env,
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
    binary
});

/// The path of the `cohort` binary, which is built if it is missing.
pub(crate) fn cohort() -> &'static Path {
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
