//! From the moment a process is made to the first 200 of `/readyz`, on data that is there already:
//! what a rolling restart and an autoscaler wait for.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use super::durable;
use crate::{Plan, process::Process};

/// What the issue of this platform allows.
const AIM: Duration = Duration::from_millis(50);
/// How often is asked: what is measured is exact to this.
const STEP: Duration = Duration::from_micros(100);
/// A process that takes longer does not start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the row, or why there is none.
pub(crate) fn print(plan: &Plan) -> anyhow::Result<()> {
    println!();
    let program = durable::program()?;
    if !program.is_file() {
        println!(
            "skipped: starts ({} is not there; cargo build --release -p cohort)",
            program.display()
        );
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let house = House::new(program, folder.path())?;
    println!(
        "from exec to the first 200 of /readyz, {} starts on existing data; aim below {} ms",
        plan.starts,
        AIM.as_millis()
    );
    println!();
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9}",
        "", "p50 ms", "p99 ms", "max ms", "CPU ms"
    );
    for (name, arguments) in house.contestants() {
        show(name, plan.starts, &house, &arguments)?;
    }
    Ok(())
}

fn show(name: &str, starts: usize, house: &House, arguments: &[String]) -> anyhow::Result<()> {
    let (mut times, mut cpu) = (Vec::with_capacity(starts), Duration::ZERO);
    for _ in 0..starts {
        let (time, used) = house.start(arguments)?;
        times.push(time);
        cpu += used;
    }
    times.sort_unstable();
    let at = |part: usize| {
        let index = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    let each = cpu.as_secs_f64() * 1e3 / starts.max(1) as f64;
    println!(
        "{name:<28} {:>9.1} {:>9.1} {:>9.1} {each:>9.1}",
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

/// Data that was made by a first start, and addresses that are free.
struct House {
    program: PathBuf,
    data: PathBuf,
    config: PathBuf,
    admin: SocketAddr,
}

impl House {
    fn new(program: PathBuf, folder: &Path) -> anyhow::Result<Self> {
        let house = Self {
            program,
            data: folder.join("data"),
            config: folder.join("epro.yaml"),
            admin: SocketAddr::from(([127, 0, 0, 1], tenon_test::fixed_port())),
        };
        let data = house.data.display();
        let config = format!(
            "name: epro\nrest: {{ listen: 127.0.0.1:0 }}\nrpc: {{ listen: 127.0.0.1:0 }}\nadmin: {{ listen: {} }}\n\
             store: {{ path: {data}/epro.db }}\nauth: {{ keys: [{{ file: {data}/keys/jwks.json }}], audience: cohort }}\n\
             clients: {{ patient: {{ endpoints: [\"127.0.0.1:1\"] }}, trial: {{ endpoints: [\"127.0.0.1:1\"] }} }}\n",
            house.admin
        );
        fs::write(&house.config, config)?;
        // The first start makes keys, databases and the demonstration, and is not measured.
        let mut first = house.up();
        first.push("--demo".to_owned());
        house.start(&first)?;
        Ok(house)
    }

    /// What is started, by the name in the table.
    fn contestants(&self) -> [(&'static str, Vec<String>); 2] {
        let config = self.config.display().to_string();
        let serve = ["serve", "epro", "--config", &config].map(str::to_owned);
        [
            ("cohort up", self.up()),
            ("cohort serve epro", serve.to_vec()),
        ]
    }

    fn up(&self) -> Vec<String> {
        let (data, admin) = (self.data.display().to_string(), self.admin.to_string());
        let words = [
            "up",
            "--data",
            &data,
            "--admin",
            &admin,
            "--listen",
            "127.0.0.1:0",
            "--progress",
            "127.0.0.1:0",
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Starts, waits until it is ready, and stops. Returns how long it took to be ready and the CPU
    /// time until then, of all its threads.
    fn start(&self, arguments: &[String]) -> anyhow::Result<(Duration, Duration)> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let mut process = Process::of(
            command
                .spawn()
                .with_context(|| format!("start {}", self.program.display()))?,
        );
        while !is_ready(self.admin) {
            ensure!(
                began.elapsed() < PATIENCE,
                "`cohort {}` is not ready",
                arguments.join(" ")
            );
            if let Some(status) = process.ended()? {
                bail!(
                    "`cohort {}` ended with {status} before it was ready",
                    arguments.join(" ")
                );
            }
            thread::sleep(STEP);
        }
        let time = began.elapsed();
        let cpu = process.cpu()?;
        process.terminate()?;
        Ok((time, cpu))
    }
}

/// Whether `/readyz` answers 200.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(admin)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        socket.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
