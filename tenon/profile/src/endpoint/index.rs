//! The page at `/debug/pprof/`, as Go's, with links to flame graphs.

use std::fmt::Write as _;

use crate::{in_flight, sampler};

/// Name, and what is behind it.
const PROFILES: [(&str, &str); 9] = [
    (
        "allocs",
        "All allocations since sampling began. seconds=N samples for N seconds; needs the feature heap-profiling.",
    ),
    (
        "block",
        "Always empty: Rust's locks tell nobody that they wait.",
    ),
    (
        "cmdline",
        "The command line of this program, without secrets.",
    ),
    (
        "goroutine",
        "Where each thread is, and the requests in flight. debug=2 shows each by itself.",
    ),
    (
        "heap",
        "What is allocated and still held. seconds=N samples for N seconds; needs the feature heap-profiling.",
    ),
    ("mutex", "Always empty, as block."),
    (
        "profile",
        "CPU profile. seconds=N sets how long, hz=N how often, format=svg|folded|json|pprof how it is written.",
    ),
    ("symbol", "Names of addresses, by POST."),
    ("threadcreate", "How many threads there are."),
];

/// The page.
pub(super) fn page() -> String {
    let requests = in_flight::list();
    let mut text = String::from(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>/debug/pprof/</title>\n",
        "<style>.profile-name{display:inline-block;width:6rem} td{padding-right:1rem}</style>\n</head>\n<body>\n",
        "/debug/pprof/\n<br>\n<p>Set debug=1 as a query parameter to export in legacy text format</p>\n<br>\n",
        "Types of profiles available:\n<table>\n<thead><td>Count</td><td>Profile</td></thead>\n",
    ));
    for (name, _) in PROFILES {
        let count = match name {
            "goroutine" => sampler::thread_count() + requests.requests.len(),
            "threadcreate" => sampler::thread_count(),
            _ => 0,
        };
        // Writing to a string does not fail, here and below.
        let debug = if name == "profile" { "" } else { "?debug=1" };
        let _ = writeln!(
            text,
            "<tr><td>{count}</td><td><a href=\"{name}{debug}\">{name}</a></td></tr>"
        );
    }
    text.push_str(concat!(
        "</table>\n<p><a href=\"goroutine?debug=2\">full goroutine stack dump</a>\n",
        "<p><a href=\"profile?seconds=30&amp;format=svg\">flame graph (30 s, SVG)</a>,\n",
        "<a href=\"profile?seconds=5&amp;format=svg\">of 5 s</a>,\n",
        "<a href=\"profile?seconds=5&amp;format=svg&amp;full=1\">of 5 s with the runtime's frames</a>,\n",
        "<a href=\"goroutine?format=svg\">of threads and requests now</a>\n",
        "<p>Profile Descriptions:\n<ul>\n",
    ));
    for (name, description) in PROFILES {
        let _ = writeln!(
            text,
            "<li><div class=\"profile-name\">{name}: </div> {description}</li>"
        );
    }
    text.push_str("</ul>\n</body>\n</html>\n");
    text
}
