//! A generated GET and a generated POST of 1.1 KB beside bare axum, and where the rest goes:
//! contestants that have one layer more each.

use bytes::Bytes;

use crate::{
    Plan,
    contest::Contest,
    load::{self, Sample, http},
    process::{Issuer, Server},
    server::Kind,
};

/// Enough to keep one core busy.
const CONNECTIONS: usize = 64;

/// One server and the path that it is asked for.
struct Contestant {
    name: &'static str,
    kind: Kind,
    /// With a token, on the route that asks for one.
    token: bool,
}

/// From bare axum to everything. The first is what the others are held against, the last two are
/// the generated service as it is shipped.
const CONTESTANTS: [Contestant; 6] = [
    contestant("bare axum", Kind::Axum, false),
    contestant("  behind the accept loop", Kind::Net, false),
    contestant("  generated: bind, trace, deadline", Kind::Door, false),
    contestant("  + metrics", Kind::Counted, false),
    contestant("  + access log", Kind::Ward, false),
    contestant("  + token and rules", Kind::Ward, true),
];
const BARE: usize = 0;
const FULL: usize = 5;

const fn contestant(name: &'static str, kind: Kind, token: bool) -> Contestant {
    Contestant { name, kind, token }
}

/// Prints both.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for contestant in &CONTESTANTS {
        servers.push(Server::start(contestant.kind, issuer)?);
    }
    let body = submission();
    let get = |token: &str| {
        let open = if token.is_empty() { "/open" } else { "" };
        http::request(
            "GET",
            &format!("/api/v1{open}/patient/P001"),
            token,
            "",
            b"",
        )
    };
    let post = |token: &str| {
        let open = if token.is_empty() { "/open" } else { "" };
        let path = format!("/api/v1{open}/submission");
        http::request("POST", &path, token, "application/json", body.as_bytes())
    };
    let bytes = body.len();
    let marks = [r#""id":"P001""#, r#""accepted":22"#];
    let contest = measure(plan, issuer, &servers, get, marks[0]).await?;
    show("GET, one patient", "0.70", &contest);
    let contest = measure(plan, issuer, &servers, post, marks[1]).await?;
    show(
        &format!("POST of {bytes} bytes, 22 items"),
        "0.80",
        &contest,
    );
    Ok(())
}

async fn measure(
    plan: &Plan,
    issuer: &Issuer,
    servers: &[Server],
    request: impl Fn(&str) -> Bytes,
    marker: &'static str,
) -> anyhow::Result<Contest> {
    let mut contest = Contest::new(CONTESTANTS.len());
    for _ in 0..plan.rounds {
        for (index, (contestant, server)) in CONTESTANTS.iter().zip(servers).enumerate() {
            let token = if contestant.token { &issuer.token } else { "" };
            let request = request(token);
            let callers = http::Repeat::many(CONNECTIONS, server.address, &request, marker).await?;
            let (_, sample) = load::closed(callers, server.process(), plan).await?;
            contest.add(index, sample);
        }
    }
    Ok(contest)
}

fn show(title: &str, aim: &str, contest: &Contest) {
    println!();
    println!("{title}; {CONNECTIONS} connections, server on one worker");
    println!("  requests per CPU second against bare axum; aim {aim} for the last line");
    println!();
    println!(
        "{:<36} {:>8} {:>8} {:>8}   of axum",
        "", "us CPU", "more", "req/s"
    );
    let mut before = None;
    for (index, contestant) in CONTESTANTS.iter().enumerate() {
        let cpu = contest.spread(index, Sample::server_cpu).median;
        let rate = contest.spread(index, Sample::rate).median;
        let more = before.map_or(String::new(), |before| format!("{:+.2}", cpu - before));
        let ratio = match index {
            BARE => String::new(),
            _ => contest.ratio(BARE, index, Sample::server_cpu).ratio(),
        };
        let mark = if index == FULL { "  <- full onion" } else { "" };
        println!(
            "{:<36} {cpu:>8.2} {more:>8} {rate:>8.0}   {ratio}{mark}",
            contestant.name
        );
        before = Some(cpu);
    }
}

/// A questionnaire with 22 answers, about 1.1 KB.
pub(super) fn submission() -> String {
    let items: Vec<String> = (1..=22)
        .map(|number| {
            format!(
                r#"{{"linkId":"phq9-ces-d-{number:02}","value":{}}}"#,
                number % 4
            )
        })
        .collect();
    format!(
        concat!(
            r#"{{"id":"01890a5d-ac96-774b-bcce-b302099a8057","#,
            r#""patientId":"01890a5d-ac96-774b-bcce-b302099a8058","#,
            r#""trialId":"01890a5d-ac96-774b-bcce-b302099a8059","#,
            r#""questionnaire":"http://example.org/Questionnaire/mood|2.1.0","#,
            r#""status":"completed","language":"zh-CN","items":[{}]}}"#
        ),
        items.join(",")
    )
}
