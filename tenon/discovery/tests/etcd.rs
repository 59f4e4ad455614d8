//! Discovery by etcd, against a real one: what is promised while it is well, away, forgetful,
//! slow or strict. Skipped with one line where there is none.
#![cfg(feature = "etcd")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/seen.rs"]
mod seen;
#[path = "support/status.rs"]
mod source;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proxy::Proxy;
use seen::{addresses, until};
use source::status;
use tenon_core::config::{ClientConfig, ClientTlsConfig, EtcdConfig, RegistrationConfig};
use tenon_discovery::{Announced, Instances, Registration, Standing, follow, register};
use tenon_test::etcd::{self, Etcd, at};

const ONE: &str = "127.0.0.1:4101";
const TWO: &str = "127.0.0.1:4102";

fn followed(etcd: EtcdConfig) -> Instances {
    let config = ClientConfig {
        etcd: Some(etcd),
        ..ClientConfig::default()
    };
    follow("trial", &config).unwrap()
}

/// Announces the RPC door at `address`, on a lease of two seconds.
fn announced(etcd: EtcdConfig, address: &str) -> Registration {
    announced_for(etcd, address, Duration::from_secs(2))
}

fn announced_for(etcd: EtcdConfig, address: &str, lease_ttl: Duration) -> Registration {
    let config = RegistrationConfig {
        etcd: Some(etcd),
        lease_ttl,
        ..RegistrationConfig::default()
    };
    let address: SocketAddr = address.parse().unwrap();
    let door = Announced {
        door: "rpc",
        address,
    };
    register(&config, vec![door]).unwrap()
}

/// Waits until the registration stands as wanted.
async fn standing(registration: &Registration, wanted: Standing) -> Duration {
    let begun = Instant::now();
    let mut watch = registration.watch();
    let waited = tokio::time::timeout(seen::PATIENCE, watch.wait_for(|now| *now == wanted)).await;
    assert!(
        waited.is_ok(),
        "still {:?}, not {wanted:?}",
        registration.standing()
    );
    begun.elapsed()
}

#[tokio::test]
async fn an_instance_is_seen_when_it_registers_and_gone_when_it_leaves() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("cohort/trial/rpc"));
    instances.answered().await;
    assert!(addresses(&instances).is_empty());
    let one = announced(etcd.config("cohort/trial"), ONE);
    let seen = until(&mut instances, &[ONE]).await;
    let two = announced(etcd.config("/cohort/trial/"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    let leaving = Instant::now();
    two.leave().await;
    until(&mut instances, &[ONE]).await;
    let gone = leaving.elapsed();
    assert_eq!(one.standing(), Standing::Registered);
    assert_eq!(
        etcd.ctl(&["get", "--prefix", "cohort/trial", "--keys-only"])
            .trim(),
        format!("cohort/trial/rpc/{ONE}")
    );
    println!("figure: registration to seen {seen:?}, left to gone {gone:?}");
}

#[tokio::test]
async fn an_outage_of_etcd_loses_no_instance_and_what_changed_is_seen_after_it() {
    if !etcd::is_installed() {
        return;
    }
    let mut etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    until(&mut instances, &[ONE]).await;
    standing(&one, Standing::Registered).await;
    etcd.kill();
    status(&instances, |status| !status.connected).await;
    standing(&one, Standing::Lost).await;
    // Longer than the lease, so that the outage outlives it.
    let (mut asked, mut had) = (0, 0);
    let outage = Instant::now();
    while outage.elapsed() < Duration::from_secs(3) {
        asked += 1;
        had += usize::from(addresses(&instances) == [ONE]);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(asked, had);
    let problem = instances.status().problem;
    assert!(problem.is_some(), "an operator is told why");
    etcd.resume().await;
    let back = Instant::now();
    standing(&one, Standing::Registered).await;
    status(&instances, |status| status.connected && status.resyncs >= 1).await;
    let back = back.elapsed();
    let two = announced(etcd.config("trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    two.leave().await;
    until(&mut instances, &[ONE]).await;
    println!(
        "figure: {had} of {asked} looks at the list during the outage had it; back {back:?} after etcd answered"
    );
}

#[tokio::test]
async fn an_etcd_that_lost_its_disk_loses_no_instance() {
    if !etcd::is_installed() {
        return;
    }
    let mut etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    until(&mut instances, &[ONE]).await;
    etcd.kill();
    // As a member does that lost its disk.
    std::fs::remove_dir_all(etcd.folder.path().join("data")).unwrap();
    status(&instances, |status| !status.connected).await;
    // From here on every list is looked at.
    let mut watcher = instances.clone();
    let emptied = tokio::spawn(async move {
        loop {
            if watcher.changed().await.is_empty() {
                return;
            }
        }
    });
    etcd.resume().await;
    standing(&one, Standing::Registered).await;
    let two = announced(etcd.config("trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    assert!(
        !emptied.is_finished(),
        "the list of the new, empty etcd was believed"
    );
    two.leave().await;
}

#[tokio::test]
async fn a_lease_that_is_revoked_behind_its_back_is_granted_anew() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    let two = announced(etcd.config("trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    let leases = etcd.ctl(&["lease", "list"]);
    let leases: Vec<_> = leases.lines().skip(1).collect();
    assert_eq!(leases.len(), 2);
    let mut changes = instances.clone();
    let gap = tokio::spawn(async move { changes.changed().await });
    for lease in &leases {
        etcd.ctl(&["lease", "revoke", lease]);
    }
    gap.await.unwrap();
    let again = until(&mut instances, &[ONE, TWO]).await;
    standing(&one, Standing::Registered).await;
    standing(&two, Standing::Registered).await;
    let after = etcd.ctl(&["lease", "list"]);
    assert!(leases.iter().all(|lease| !after.contains(lease)), "{after}");
    println!("figure: registered again {again:?} after the revocation was seen");
}

#[tokio::test]
async fn a_key_that_somebody_deletes_is_written_again() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    let _two = announced(etcd.config("trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    let mut worst = Duration::ZERO;
    for _ in 0..5 {
        let mut changes = instances.clone();
        let gap = tokio::spawn(async move { changes.changed().await });
        tokio::task::yield_now().await;
        etcd.ctl(&["del", &format!("trial/rpc/{ONE}")]);
        let without = gap.await.unwrap();
        assert_eq!(without.len(), 1, "the deletion is seen");
        worst = worst.max(until(&mut instances, &[ONE, TWO]).await);
    }
    assert_eq!(one.standing(), Standing::Registered);
    println!("figure: written again within {worst:?} at most, 5 deletions");
}

#[tokio::test]
async fn keys_that_only_begin_alike_or_lie_deeper_are_never_read() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    for key in ["a", "ab", "ab/1", "a-2/1", "a.b/1", "a/b/1", "/a/1", "b/1"] {
        etcd.ctl(&["put", key, "10.9.9.9:1"]);
    }
    etcd.ctl(&["put", "a/1", ONE]);
    let mut instances = followed(etcd.config("a"));
    until(&mut instances, &[ONE]).await;
    for key in ["a0", "a", "ab/2", "a/b/2", "aa/1"] {
        etcd.ctl(&["put", key, "10.9.9.9:2"]);
    }
    // A neighbour that registers, and what go-zero and etcd's own package write.
    let neighbour = announced(etcd.config("a/b"), TWO);
    standing(&neighbour, Standing::Registered).await;
    etcd.ctl(&["put", "a/7587848943", TWO]);
    etcd.ctl(&[
        "put",
        "a/x",
        r#"{"Op":0,"Addr":"127.0.0.1:4103","Metadata":{"weight":7}}"#,
    ]);
    etcd.ctl(&["put", "a/y", "no address"]);
    until(&mut instances, &[ONE, TWO, "127.0.0.1:4103"]).await;
    assert_eq!(instances.now()[2].weight, 7);
}

#[tokio::test]
async fn after_a_compaction_the_list_is_read_again_and_nothing_is_missed() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    etcd.ctl(&["put", "trial/rpc/1", ONE]);
    etcd.ctl(&["put", "trial/rpc/2", TWO]);
    let proxy = Proxy::to(etcd.address()).await;
    // The key is named by the list first and by the watch then; the watch is held back.
    proxy.hold("trial/rpc/", 2);
    let mut instances = followed(at(&proxy.address(), "trial/rpc"));
    until(&mut instances, &[ONE, TWO]).await;
    proxy.held().await;
    // What happens now is in no list and, once compacted, in no watch.
    etcd.ctl(&["del", "trial/rpc/2"]);
    let put = etcd.ctl(&["put", "trial/rpc/3", "127.0.0.1:4103", "--write-out=json"]);
    let put: serde_json::Value = serde_json::from_str(&put).unwrap();
    let revision = put["header"]["revision"].to_string();
    etcd.ctl(&["compact", &revision]);
    proxy.release();
    until(&mut instances, &[ONE, "127.0.0.1:4103"]).await;
    let status = status(&instances, |status| status.resyncs == 1).await;
    assert!(status.connected);
    assert_eq!(
        proxy.connections(),
        1,
        "the connection was good all the time"
    );
    println!(
        "figure: resyncs {}, connections {}",
        status.resyncs,
        proxy.connections()
    );
}

#[tokio::test]
async fn a_registry_that_flaps_empties_no_list_and_costs_no_registration() {
    const FLAPS: u32 = 30;
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let proxy = Proxy::to(etcd.address()).await;
    let mut instances = followed(at(&proxy.address(), "trial/rpc"));
    let mut beside = followed(etcd.config("trial/rpc"));
    // Longer than the flaps take on any machine: what is to be seen is that none lets go.
    let lease = Duration::from_secs(60);
    let _one = announced_for(at(&proxy.address(), "trial"), ONE, lease);
    let _two = announced_for(at(&proxy.address(), "trial"), TWO, lease);
    until(&mut instances, &[ONE, TWO]).await;
    until(&mut beside, &[ONE, TWO]).await;
    let (mut asked, mut had) = (0_u32, 0_u32);
    for flap in 0..FLAPS {
        proxy.cut();
        for step in 0..10 {
            if step == 5 {
                proxy.mend();
            }
            asked += 1;
            had += u32::from(addresses(&instances).len() == 2);
            tokio::time::sleep(Duration::from_millis(u64::from(flap % 7) * 3 + 1)).await;
        }
    }
    status(&instances, |status| status.connected).await;
    assert_eq!(asked, had);
    assert!(proxy.connections() > 3, "it did flap");
    assert_eq!(addresses(&beside), [ONE, TWO]);
    let resyncs = instances.status().resyncs;
    println!("figure: {FLAPS} flaps, {had} of {asked} looks complete, {resyncs} resyncs");
}

#[tokio::test]
async fn a_start_while_etcd_is_away_waits_and_goes_on_by_itself() {
    if !etcd::is_installed() {
        return;
    }
    let mut etcd = Etcd::stopped("http", Vec::new(), Vec::new()).await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    let status = status(&instances, |status| status.problem.is_some()).await;
    assert!(!status.answered && !status.connected);
    assert_eq!(one.standing(), Standing::Pending);
    etcd.resume().await;
    let begun = Instant::now();
    instances.answered().await;
    until(&mut instances, &[ONE]).await;
    println!("figure: answered {:?} after etcd did", begun.elapsed());
}

#[tokio::test]
async fn an_instance_that_dies_is_gone_when_its_lease_has_run_out() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(etcd.config("trial/rpc"));
    let one = announced(etcd.config("trial"), ONE);
    let _two = announced(etcd.config("trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    // As a process that is killed: nothing is said to anybody.
    drop(one);
    let gone = until(&mut instances, &[TWO]).await;
    println!("figure: gone {gone:?} after it died, with a lease of 2 s");
}

#[tokio::test]
async fn a_connection_that_swallows_everything_is_noticed() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let proxy = Proxy::to(etcd.address()).await;
    let mut instances = followed(at(&proxy.address(), "trial/rpc"));
    let _one = announced(etcd.config("trial"), ONE);
    until(&mut instances, &[ONE]).await;
    let begun = Instant::now();
    proxy.swallow();
    status(&instances, |status| !status.connected).await;
    let noticed = begun.elapsed();
    assert_eq!(addresses(&instances), [ONE]);
    proxy.mend();
    status(&instances, |status| status.connected).await;
    println!("figure: a black hole was noticed after {noticed:?}");
}

#[tokio::test]
async fn a_user_and_its_password_are_asked_for_and_its_token_is_renewed() {
    if !etcd::is_installed() {
        return;
    }
    let mut etcd = Etcd::start().await;
    for arguments in [
        &["user", "add", "root:rootpass"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "trial:trialpass"],
        &["role", "add", "trial"],
        &[
            "role",
            "grant-permission",
            "trial",
            "--prefix=true",
            "readwrite",
            "trial/",
        ],
        &["user", "grant-role", "trial", "trial"],
        &["auth", "enable"],
    ] {
        etcd.ctl(arguments);
    }
    etcd.control = vec!["--user=root:rootpass".to_owned()];
    let user = |password: &str, key: &str| EtcdConfig {
        username: Some("trial".to_owned()),
        password: Some(password.to_owned().into()),
        ..etcd.config(key)
    };
    let nobody = followed(etcd.config("trial/rpc"));
    let wrong = followed(user("wrong", "trial/rpc"));
    let elsewhere = followed(user("trialpass", "patient/rpc"));
    for refused in [&nobody, &wrong, &elsewhere] {
        let status = status(refused, |status| status.problem.is_some()).await;
        let problem = status.problem.unwrap();
        assert!(
            problem.contains("refused") && !problem.contains("wrong"),
            "{problem}"
        );
        assert!(!status.answered);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "trialpass\n").unwrap();
    let rights = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(&file, rights(0o644)).unwrap();
    let by_file = EtcdConfig {
        password: None,
        password_file: Some(file.clone()),
        ..user("", "trial/rpc")
    };
    let mut instances = followed(by_file);
    let open = status(&instances, |status| status.problem.is_some()).await;
    assert!(open.problem.unwrap().contains("chmod 600"));
    std::fs::set_permissions(&file, rights(0o600)).unwrap();
    let one = announced(user("trialpass", "trial"), ONE);
    until(&mut instances, &[ONE]).await;
    standing(&one, Standing::Registered).await;
    // An etcd that starts again knows no token of before.
    etcd.kill();
    standing(&one, Standing::Lost).await;
    etcd.resume().await;
    standing(&one, Standing::Registered).await;
    let two = announced(user_of(&etcd, "trial"), TWO);
    until(&mut instances, &[ONE, TWO]).await;
    two.leave().await;
    until(&mut instances, &[ONE]).await;
}

fn user_of(etcd: &Etcd, key: &str) -> EtcdConfig {
    EtcdConfig {
        username: Some("trial".to_owned()),
        password: Some("trialpass".to_owned().into()),
        ..etcd.config(key)
    }
}

#[tokio::test]
async fn tls_proves_both_sides_and_plain_text_is_refused() {
    if !etcd::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let house = Certificates::make(folder.path());
    let arguments = vec![
        format!("--cert-file={}", house.server.0.display()),
        format!("--key-file={}", house.server.1.display()),
        format!("--trusted-ca-file={}", house.ca.display()),
        "--client-cert-auth".to_owned(),
    ];
    let control = vec![
        format!("--cacert={}", house.ca.display()),
        format!("--cert={}", house.client.0.display()),
        format!("--key={}", house.client.1.display()),
    ];
    let mut etcd = Etcd::stopped("https", arguments, control).await;
    etcd.resume().await;
    let tls = |ca: &Path, shown: Option<&(PathBuf, PathBuf)>, key: &str| EtcdConfig {
        tls: Some(ClientTlsConfig {
            ca_file: Some(ca.to_owned()),
            cert_file: shown.map(|pair| pair.0.clone()),
            key_file: shown.map(|pair| pair.1.clone()),
            server_name: None,
        }),
        ..etcd.config(key)
    };
    let plain = followed(etcd.config("trial/rpc"));
    let nameless = followed(tls(&house.ca, None, "trial/rpc"));
    let stranger = followed(tls(&house.other_ca, Some(&house.client), "trial/rpc"));
    for refused in [&plain, &nameless, &stranger] {
        let status = status(refused, |status| status.problem.is_some()).await;
        assert!(!status.answered, "{status:?}");
    }
    let mut instances = followed(tls(&house.ca, Some(&house.client), "trial/rpc"));
    let one = announced(tls(&house.ca, Some(&house.client), "trial"), ONE);
    until(&mut instances, &[ONE]).await;
    one.leave().await;
    let left = etcd.ctl(&["get", "--prefix", "trial/", "--keys-only"]);
    assert_eq!(left.trim(), "");
}

/// An authority, what it signed, and another authority.
struct Certificates {
    ca: PathBuf,
    other_ca: PathBuf,
    server: (PathBuf, PathBuf),
    client: (PathBuf, PathBuf),
}

impl Certificates {
    fn make(folder: &Path) -> Self {
        use rcgen::{
            BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
            KeyPair,
        };
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (ca, other_ca) = (authority(), authority());
        let signed = |name: &str| {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            // etcd also shows its own certificate as a client, to itself.
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &ca).unwrap();
            (
                write(&format!("{name}.pem"), &certificate.pem()),
                write(&format!("{name}.key"), &key.serialize_pem()),
            )
        };
        Self {
            server: signed("server"),
            client: signed("client"),
            ca: write("ca.pem", &ca.pem()),
            other_ca: write("other.pem", &other_ca.pem()),
        }
    }
}

#[tokio::test]
async fn the_source_is_left_alone_when_the_last_list_is_dropped() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let instances = followed(etcd.config("trial/rpc"));
    instances.answered().await;
    let mut watch = instances.watch_status();
    watch.changed().await.unwrap();
    let clone = instances.clone();
    drop(instances);
    assert!(clone.status().connected);
    drop(clone);
    while watch.changed().await.is_some() {}
}
