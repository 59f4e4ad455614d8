//! A disk that has no space left.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{cast::Actor, http::text, phq9, run::Outcome, world::World};

const PATH: &str = "/api/v1/epro/response";

/// How many submissions a full disk may still take: what was set aside is used up first.
const STILL_TAKEN: usize = 3000;

/// What cannot be stored is refused before anything is acknowledged, what was stored is still
/// read, and when there is space again everything goes on without a restart.
pub(super) async fn r_01_a_full_disk_is_told_and_nothing_is_lost(world: &World) -> Outcome {
    let Some(disk) = Disk::mount(&world.scratch("disk")) else {
        return Outcome::Skipped("a small file system cannot be mounted here".to_owned());
    };
    let other = World::start_on(world.arrangement(), disk.data()).await;
    let cast = other.cast().await;
    let token = cast.token(Actor::Patient).to_owned();
    let mut taken = Vec::new();
    for _ in 0..20 {
        let response = phq9::response(&cast.own().id, phq9::MODERATE);
        other.post(&token, PATH, &response).await.expect(201);
        taken.push(response);
    }
    disk.fill();
    let refused = loop {
        let response = phq9::response(&cast.own().id, phq9::MODERATE);
        let answer = other.post(&token, PATH, &response).await;
        if answer.status != 201 {
            assert_eq!(answer.problem(), (507, "STORE_FULL"), "{answer}");
            break response;
        }
        taken.push(response);
        assert!(taken.len() < STILL_TAKEN, "the disk is not full");
    };
    let still = taken.len() - 20;
    for response in taken.iter().rev().take(5) {
        read(&other, &token, response).await;
    }
    let id = text(&refused, "id");
    let answer = other.get(&token, format!("{PATH}/{id}")).await;
    assert_eq!(answer.problem(), (404, "RESPONSE_NOT_FOUND"));

    disk.free();
    other.post(&token, PATH, &refused).await.expect(201);
    taken.push(refused);
    for response in &taken {
        read(&other, &token, response).await;
    }
    other.audited().await;
    other.stop_all().await;
    Outcome::Measured(format!(
        "{still} were still taken, then 507; all {} are there",
        taken.len()
    ))
}

async fn read(world: &World, token: &str, response: &Value) {
    let id = text(response, "id");
    let read = world.get(token, format!("{PATH}/{id}")).await.expect(200);
    assert_eq!(read["resource"], *response, "{id}");
}

/// A file system of a few megabytes. It goes when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Nothing where this may not be done.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        let disk = mounted.then(|| Self(at.to_owned()))?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(disk.data())
            .unwrap();
        Some(disk)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Processes that a failure left behind may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
