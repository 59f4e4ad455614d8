//! The flame graph: one SVG that a browser shows by itself, with zoom by click and search, after
//! Brendan Gregg's. The root is on top, so that the first screen shows where stacks begin.

use std::fmt::Write as _;

use crate::tree::Node;

/// Pixels across: fixed, because a picture that is fitted into the window has letters too small to read.
const WIDTH: f64 = 1200.0;
/// The height of a frame, with the gap below it.
const ROW: usize = 18;
/// Where the first row begins: below title and search.
const TOP: usize = 48;
/// Frames narrower than this are left out: a tenth of a unit cannot be seen or clicked.
const NARROWEST: f64 = 0.1;
/// Rows drawn; deeper ones are left out with a note.
const ROWS_MAX: usize = 200;
/// Crates whose frames are drawn pale: they are there, but seldom what is looked for.
const PLUMBING: [&str; 18] = [
    "std",
    "core",
    "alloc",
    "tokio",
    "hyper",
    "hyper_util",
    "axum",
    "axum_core",
    "tower",
    "futures_util",
    "futures_core",
    "tracing",
    "tracing_core",
    "mio",
    "h2",
    "hashbrown",
    "bytes",
    "http",
];
const SCRIPT: &str = include_str!("flame.js");
const STYLE: &str = concat!(
    "text{font:12px Verdana,Helvetica,sans-serif;fill:#222;pointer-events:none}",
    ".title{font-size:16px}.frame{cursor:pointer}.frame:hover rect{stroke:#000;stroke-width:.6}",
    ".found rect{fill:#7c4dff}.dim{opacity:.45}.hidden{display:none}",
    ".button{cursor:pointer;pointer-events:auto;fill:#06c}",
);

/// Draws the tree. `unit` is that of its numbers: `nanoseconds`, `bytes`, `count`.
pub(crate) fn draw(tree: &Node, title: &str, unit: &str) -> String {
    let rows = depth(tree).min(ROWS_MAX);
    let height = TOP + rows * ROW + 30;
    let mut svg = String::with_capacity(64 << 10);
    let title = escape(title);
    // Writing to a string does not fail, here and below.
    let _ = write!(
        svg,
        concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" ",
            "data-unit=\"{unit}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n",
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            "<text class=\"title\" x=\"10\" y=\"22\">{title}</text>\n",
            "<text id=\"reset\" class=\"button hidden\" x=\"10\" y=\"40\">reset zoom</text>\n",
            "<text id=\"search\" class=\"button\" x=\"1190\" y=\"22\" text-anchor=\"end\">search</text>\n",
            "<text id=\"details\" x=\"110\" y=\"40\"> </text>\n<g id=\"frames\">\n",
        ),
        WIDTH = WIDTH,
        height = height,
        unit = escape(unit),
        title = title,
        STYLE = STYLE,
    );
    if tree.value > 0 {
        let scale = WIDTH / tree.value as f64;
        frame(&mut svg, tree, 0.0, 0, scale, unit, tree.value);
    } else {
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\">nothing was sampled: the process was idle</text>",
            TOP + 12
        );
    }
    let _ = write!(
        svg,
        "</g>\n<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>\n"
    );
    svg
}

fn depth(node: &Node) -> usize {
    1 + node.children.iter().map(depth).max().unwrap_or(0)
}

fn frame(svg: &mut String, node: &Node, x: f64, row: usize, scale: f64, unit: &str, total: i64) {
    let width = node.value as f64 * scale;
    if width < NARROWEST || row >= ROWS_MAX {
        return;
    }
    let y = TOP + row * ROW;
    let name = escape(&node.name);
    let share = node.value as f64 * 100.0 / total as f64;
    let amount = amount(node.value, unit);
    let _ = writeln!(
        svg,
        concat!(
            "<g class=\"frame\" data-x=\"{x:.2}\" data-w=\"{width:.2}\" data-row=\"{row}\">",
            "<title>{name} ({amount}, {share:.2} %)</title>",
            "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"17\" rx=\"1\" fill=\"{fill}\"/>",
            "<text x=\"{text_x:.2}\" y=\"{text_y}\">{shown}</text></g>",
        ),
        x = x,
        width = width,
        row = row,
        name = name,
        amount = amount,
        share = share,
        y = y,
        fill = colour(&node.name, row),
        text_x = x + 3.0,
        text_y = y + 13,
        shown = escape(&fitting(&node.name, width)),
    );
    let mut at = x;
    for child in &node.children {
        frame(svg, child, at, row + 1, scale, unit, total);
        at += child.value as f64 * scale;
    }
}

/// As much of a name as fits, 7 units a letter.
fn fitting(name: &str, width: f64) -> String {
    let room = (width / 7.0) as usize;
    let length = name.chars().count();
    if room < 4 {
        String::new()
    } else if length <= room {
        name.to_owned()
    } else {
        let mut text: String = name.chars().take(room.saturating_sub(2)).collect();
        text.push_str("..");
        text
    }
}

/// Routes and threads are blue, the runtime and the standard library grey, all else warm: a
/// function has the same colour in every graph.
fn colour(name: &str, row: usize) -> String {
    if row <= 1 {
        return "#a8c8ec".to_owned();
    }
    // FNV-1a: any hash that is the same everywhere will do.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = name.trim_start_matches(['<', '&', '(']);
    let crate_name = start.split("::").next().unwrap_or(start);
    if PLUMBING.contains(&crate_name) || !name.contains("::") {
        let light = 82 + hash % 8;
        return format!("hsl(220,8%,{light}%)");
    }
    let (hue, light) = (8 + hash % 44, 60 + hash / 64 % 12);
    format!("hsl({hue},85%,{light}%)")
}

fn amount(value: i64, unit: &str) -> String {
    match unit {
        "nanoseconds" => format!("{:.2} s", value as f64 / 1e9),
        "bytes" => format!("{:.2} MB", value as f64 / 1e6),
        _ => format!("{value}"),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // XML has no place for the others, not even escaped.
            letter if letter.is_control() => escaped.push('?'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, value: i64, children: Vec<Node>) -> Node {
        Node {
            name: name.to_owned(),
            value,
            children,
        }
    }

    #[test]
    fn every_frame_is_drawn_in_proportion_and_escaped() {
        let tree = node(
            "all",
            100,
            vec![
                node("<A as B>::\"c\"&\u{1}", 75, vec![]),
                node("d", 25, vec![]),
            ],
        );
        let svg = draw(&tree, "CPU </title><script>", "nanoseconds");
        assert!(
            svg.contains("data-x=\"0.00\" data-w=\"900.00\" data-row=\"1\""),
            "{svg}"
        );
        assert!(
            svg.contains("&lt;A as B&gt;::&quot;c&quot;&amp;? (0.00 s, 75.00 %)"),
            "{svg}"
        );
        assert_eq!(svg.matches("<script>").count(), 1);
        assert_eq!(svg.matches("class=\"frame\"").count(), 3);
    }

    #[test]
    fn an_idle_process_gives_a_picture_that_says_so() {
        let svg = draw(&node("all", 0, vec![]), "CPU", "nanoseconds");
        assert!(svg.contains("nothing was sampled"));
        assert!(svg.ends_with("</svg>\n"));
    }
}
