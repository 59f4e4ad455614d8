//! Canaries: what identifies a person, and what is secret of one, planted in every route in every
//! shape, then searched for in everything that leaves the processes. The processes log all that
//! they can, and nothing is thinned.

mod calls;
mod exits;
mod shapes;
mod tally;

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use self::{
    shapes::{Case, OF_ALL, OF_BODIES, Shape},
    tally::Tally,
};
use super::access::{self, Sample, sample};
use crate::{
    canary::{self, Canary, EVERYTHING, UNSEALED},
    cast::{Actor, Cast},
    collector::Collector,
    raw::{Raw, Received},
    run::Outcome,
    table::{self, Row},
    world::World,
};

/// How many requests are on their way at once.
const AT_ONCE: usize = 8;

/// Routes that hash a password.
const HASHES: [&str; 3] = [
    "POST /api/v1/identity/login",
    "POST /api/v1/identity/account",
    "POST /api/v1/identity/password",
];

/// How often a request is sent that a busy machine refuses, and how much longer each time the
/// wait is: the breaker of a route closes within seconds.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// The contracts that mark fields.
const CONTRACTS: [&str; 4] = [
    include_str!("../../../cohort/services/identity/identity.api"),
    include_str!("../../../cohort/services/trial/trial.api"),
    include_str!("../../../cohort/services/patient/patient.api"),
    include_str!("../../../cohort/services/epro/epro.api"),
];

pub(super) async fn r_34_no_personal_field_leaks_from_any_route(world: &World) -> Outcome {
    assert_all_marked_are_planted();
    EVERYTHING.assert_sighted();
    UNSEALED.assert_sighted();
    let collector = Collector::start().await;
    let own = World::start_talkative(world.arrangement(), collector.address()).await;
    let tally = Tally::default();
    let routes = routes();
    storm(&own, &routes, &tally).await;
    calls::storm(&own, &tally).await;
    let pages = exits::search_pages(&own, &tally).await;
    exits::assert_nothing_was_held_back(&own).await;
    back_up(&own).await;
    own.stop_all().await;
    let files = exits::search_files(&own, &tally);
    if own.is_split() {
        let spans = collector.received();
        assert!(crate::secrets::contains(
            &spans,
            b"/api/v1/patient/:patientId"
        ));
        tally.search("the traces", &spans);
        tally.traces.store(spans.len(), Ordering::Relaxed);
    }
    own.keep();
    tally.judge(&routes);
    Outcome::Measured(tally.figures(&routes, &pages, &files))
}

/// A copy of the data, which is searched as the data are.
async fn back_up(world: &World) {
    let (data, copy) = (world.data(), world.scratch(exits::BACKUP));
    let [data, copy] = [&data, &copy].map(|path| path.to_str().unwrap());
    let output = world
        .command(["backup", "--data", data, "--out", copy])
        .await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Marked members that hold what another one is planted with: passwords, and what an answer alone
/// has.
const ALIKE: [&str; 3] = ["accessToken", "currentPassword", "newPassword"];

/// A contract that marks one more member `personal` fails until it is planted as well.
fn assert_all_marked_are_planted() {
    let tag = |line: &'static str| {
        let tag = line.split('`').nth(1)?.split('"').nth(1)?;
        let mut words = tag.split(',');
        let name = words.next()?;
        words.any(|word| word == "personal").then_some(name)
    };
    let marked: BTreeSet<&str> = CONTRACTS
        .iter()
        .flat_map(|text| text.lines().filter_map(tag))
        .collect();
    let planted = canary::ALL.iter().filter(|canary| canary.is_marked());
    let planted = planted.map(|canary| canary.name);
    assert_eq!(marked, planted.chain(ALIKE).collect());
}

/// A route, and who may use it.
struct Route {
    row: Row,
    actor: Actor,
    /// Somebody whose role never may.
    denied: Option<Actor>,
}

/// The routes of the access table, each with the first object that somebody may use it for.
fn routes() -> Vec<Route> {
    let mut seen = BTreeSet::new();
    let rows = table::read(access::TABLE).into_iter();
    rows.filter(|row| seen.insert(row.route))
        .map(|row| {
            let find = |fits: fn(&str) -> bool| {
                let mut actors = Actor::ALL.into_iter();
                actors.find(|actor| fits(row.cell(*actor)))
            };
            let is_good = |cell: &str| cell.starts_with(['2', '=']);
            let is_late = |cell: &str| cell == "409" || cell == "400";
            let actor = find(is_good).or_else(|| find(is_late));
            let denied = find(|cell| cell == "403");
            Route {
                actor: actor.unwrap_or(Actor::OtherPatient),
                denied,
                row,
            }
        })
        .collect()
}

/// Sends every canary to every route in every shape. All routes get a shape before the next one
/// is sent, so that the few logins a minute that are allowed are spread over the shapes.
async fn storm(world: &World, routes: &[Route], tally: &Tally) {
    let cast = world.cast().await;
    let address = world.ports().address("gateway.rest");
    let of = |shapes: &'static [Shape]| shapes.iter();
    let shapes = of(OF_BODIES)
        .map(|shape| (shape, true))
        .chain(of(OF_ALL).map(|shape| (shape, false)));
    // What hashes a password takes its time, and several at once take theirs together.
    let turns = Semaphore::new(1);
    let mut number = 0;
    for (shape, needs_body) in shapes {
        let mut cases = Vec::new();
        for canary in &canary::ALL {
            number += 1;
            for route in routes {
                let case = case(cast, route, canary, number);
                if case.body.is_some() || !needs_body {
                    cases.push((route, case));
                }
            }
        }
        let work = cases.into_iter().map(async |(route, case)| {
            let _turn = match HASHES.contains(&case.route) {
                true => Some(turns.acquire().await.unwrap()),
                false => None,
            };
            for request in (shape.requests)(&case) {
                send(&address, &request, tally, (shape, route, case.canary)).await;
            }
        });
        let work = stream::iter(work).buffer_unordered(AT_ONCE);
        work.collect::<Vec<()>>().await;
    }
}

/// Sends a request until it is not refused because the machine has too much to do.
async fn send(
    address: &str,
    request: &Raw,
    tally: &Tally,
    (shape, route, canary): (&Shape, &Route, &'static Canary),
) {
    for turn in 1_u32.. {
        let received = request.send(address).await;
        let is_busy = matches!(received.status(), Some(503 | 504)) && turn < TRIES_MAX;
        tally.answered(shape, route, canary, &received, is_busy);
        if !is_busy {
            return;
        }
        tokio::time::sleep(PAUSE * turn).await;
    }
}

fn case(cast: &Cast, route: &Route, canary: &'static Canary, number: u32) -> Case {
    let Sample {
        method,
        path,
        mut body,
    } = sample(cast, &route.row, route.actor);
    if route.row.route == "POST /api/v1/patient"
        && let Some(body) = &mut body
    {
        for (name, value) in canary::person(number).as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
    }
    Case {
        route: route.row.route,
        method,
        path,
        body,
        token: cast.token(route.actor).to_owned(),
        denied: route.denied.map(|actor| cast.token(actor).to_owned()),
        canary,
        number,
    }
}
