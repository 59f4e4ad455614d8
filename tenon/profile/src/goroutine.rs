//! `/debug/pprof/goroutine`: where every thread is, and the requests in flight.
//!
//! Rust has no list of its tasks. A thread that is stuck in a lock or a blocking call is seen by
//! its stack; requests are seen by what the doors keep of them. Tasks that a service spawns by
//! itself are not listed, and the text says so.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use crate::{
    image::Image,
    in_flight::{self, InFlight},
    profile::{Counted, Location, Profile, Sample, View},
    refusal::Refusal,
    sampler,
    stacks::ThreadStack,
    symbols::Function,
};

/// Said in each text.
const LIMITS: &str = "# threads of the process, then requests in flight; tasks that a service spawned by itself are not listed\n";

/// What there was at one moment.
pub(crate) struct Moment {
    threads: Vec<ThreadStack>,
    images: Vec<Arc<Image>>,
    requests: InFlight,
}

impl Moment {
    /// Now. Not for an async worker: it waits for the threads.
    pub(crate) fn now() -> Result<Self, Refusal> {
        let requests = in_flight::list();
        let (threads, images) = sampler::where_threads_are()?;
        Ok(Self {
            threads,
            images,
            requests,
        })
    }

    /// As a profile; without what `before` had already.
    pub(crate) fn profile(&self, before: Option<&Self>, view: View) -> Profile {
        let mut profile = Profile::empty(&[("goroutine", "count")]);
        profile.default_type = "goroutine";
        profile.period_type = Some(("goroutine", "count"));
        profile.period = 1;
        profile
            .comments
            .push("threads and requests in flight; other tasks are not listed".to_owned());
        let mut stacks = counted(&self.threads);
        for (key, count) in before
            .map(|before| counted(&before.threads))
            .into_iter()
            .flatten()
        {
            *stacks.entry(key).or_default() -= count;
        }
        let stacks = stacks.into_iter().filter(|(_, count)| *count != 0);
        let stacks = stacks.map(|((frames, labels), count)| Counted {
            frames,
            values: vec![count],
            labels,
        });
        profile.name(stacks.collect(), self.images.clone(), view);
        let mut requests = counted_requests(&self.requests);
        for (key, count) in before
            .map(|before| counted_requests(&before.requests))
            .into_iter()
            .flatten()
        {
            *requests.entry(key).or_default() -= count;
        }
        for ((route, age), count) in requests.into_iter().filter(|(_, count)| *count != 0) {
            add_request(&mut profile, route, age, count);
        }
        profile
    }

    /// `debug=1`: equal stacks together. `debug=2`: each thread and each request by itself.
    pub(crate) fn text(&self, each: bool, view: View) -> String {
        let profile = self.profile(None, view);
        let mut text = String::from(LIMITS);
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "goroutine profile: total {}",
            self.threads.len() + self.requests.requests.len()
        );
        if each {
            self.write_each(&mut text, view);
        } else {
            for sample in &profile.samples {
                let count = sample.values.first().copied().unwrap_or(0);
                let labels = sample
                    .labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value:?}"));
                let labels: Vec<String> = labels.collect();
                let _ = writeln!(text, "{count} @ {}", labels.join(" "));
                write_stack(&mut text, &profile, sample, "#\t");
            }
        }
        if self.requests.unlisted > 0 {
            let _ = writeln!(
                text,
                "and {} requests in flight besides",
                self.requests.unlisted
            );
        }
        text
    }

    fn write_each(&self, text: &mut String, view: View) {
        let mut profile = Profile::default();
        let stacks = self.threads.iter().map(|thread| Counted {
            frames: thread.frames.clone(),
            values: vec![1],
            labels: Vec::new(),
        });
        profile.name(stacks.collect(), self.images.clone(), view);
        for (thread, sample) in self.threads.iter().zip(&profile.samples) {
            let _ = write!(
                text,
                "\nthread {} {:?} [{}]",
                thread.tid,
                thread.name,
                state(thread.state)
            );
            if let Some(route) = thread.label.name() {
                let _ = write!(text, " for {route}");
            }
            text.push_str(":\n");
            if thread.frames.is_empty() {
                text.push_str("it did not answer: it is in the kernel, or blocks SIGPROF\n");
            }
            write_stack(text, &profile, sample, "");
        }
        for request in &self.requests.requests {
            let route = request.label.name().unwrap_or("?");
            let _ = writeln!(
                text,
                "\nrequest {route} [in flight, {:.3} s]",
                request.age.as_secs_f64()
            );
        }
    }
}

type Labels = Vec<(&'static str, String)>;

fn counted(threads: &[ThreadStack]) -> BTreeMap<(Vec<u64>, Labels), i64> {
    let mut stacks = BTreeMap::new();
    for thread in threads {
        let mut labels = vec![
            ("thread", thread.name.clone()),
            ("state", state(thread.state).to_owned()),
        ];
        labels.extend(thread.label.name().map(|route| ("route", route.to_owned())));
        *stacks.entry((thread.frames.clone(), labels)).or_default() += 1;
    }
    stacks
}

fn counted_requests(requests: &InFlight) -> BTreeMap<(&'static str, &'static str), i64> {
    let mut counts = BTreeMap::new();
    for request in &requests.requests {
        let route = request.label.name().unwrap_or("?");
        *counts.entry((route, age(request.age))).or_default() += 1;
    }
    counts
}

/// A request is a stack of one frame that no address stands behind.
fn add_request(profile: &mut Profile, route: &str, age: &str, count: i64) {
    profile.functions.push(Function {
        name: format!("request {route}"),
        system_name: format!("request {route}"),
        file: String::new(),
    });
    profile.locations.push(Location {
        image: None,
        address: 0,
        lines: vec![(profile.functions.len() - 1, 0)],
    });
    profile.samples.push(Sample {
        locations: vec![profile.locations.len() - 1],
        values: vec![count],
        labels: vec![("route", route.to_owned()), ("age", age.to_owned())],
    });
}

/// Ages in steps, so that equal requests count together.
fn age(age: Duration) -> &'static str {
    match age.as_millis() {
        0..100 => "under 100 ms",
        100..1000 => "100 ms to 1 s",
        1000..10_000 => "1 s to 10 s",
        _ => "over 10 s",
    }
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' => "sleeping",
        'D' => "in the kernel",
        'T' | 't' => "stopped",
        'Z' | 'X' => "ended",
        _ => "unknown",
    }
}

fn write_stack(text: &mut String, profile: &Profile, sample: &Sample, start: &str) {
    for location in sample
        .locations
        .iter()
        .filter_map(|&number| profile.locations.get(number))
    {
        for &(function, line) in &location.lines {
            let Some(function) = profile.functions.get(function) else {
                continue;
            };
            let _ = writeln!(
                text,
                "{start}{:#x}\t{}\t{}:{line}",
                location.address, function.name, function.file
            );
        }
        if location.lines.is_empty() {
            let image = location.image.and_then(|image| profile.images.get(image));
            let name = image.map_or("?", |image| image.short_name());
            let _ = writeln!(text, "{start}{:#x}\t{name}", location.address);
        }
    }
}
