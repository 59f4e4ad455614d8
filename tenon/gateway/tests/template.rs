//! Path templates and the matcher: the grammar of `google/api/http.proto`, and what real paths
//! bind.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use http::Method;
use proptest::prelude::*;
use tenon_gateway::transcode::{Matcher, Template, Verb, template::Segment};

fn get() -> Verb {
    Verb::Method("GET".to_owned())
}

fn matcher(templates: &[&'static str]) -> Matcher<&'static str> {
    let mut matcher = Matcher::default();
    for text in templates {
        let template = Template::parse(text).unwrap();
        matcher.insert(get(), template, *text).unwrap();
    }
    matcher
}

/// The template that a path fits, and the values that it binds.
fn bound(matcher: &Matcher<&'static str>, path: &str) -> Option<(&'static str, Vec<String>)> {
    let found = matcher.find(&Method::GET, path)?;
    Some((found.rule, found.values().map(Option::unwrap).collect()))
}

#[test]
fn the_grammar_is_that_of_the_specification() {
    for good in [
        "/v1/messages/{message_id}",
        "/v1/{name=messages/*}",
        "/v1/messages:watch",
        "/v1/{book.name=shelves/*/books/*}:open",
        "/**",
        "/v1/*/x/**",
        "/v1/{a}/{b.c}/{d=e/**}:f",
        "/v1/a-b_c.d~e/%7Bx%7D",
    ] {
        Template::parse(good).unwrap();
    }
    for (bad, problem) in [
        ("", "`/`"),
        ("v1", "`/`"),
        ("/", "a segment"),
        ("/v1/", "a segment"),
        ("/v1//x", "a segment"),
        ("/v1/{}", "name of a field"),
        ("/v1/{a", "`}`"),
        ("/v1/{a}}", "unexpected"),
        ("/v1/{a.}", "name of a field"),
        ("/v1/{1a}", "name of a field"),
        ("/v1/{a=}", "a segment"),
        ("/v1/{a={b}}", "within a variable"),
        ("/v1/**/x", "last segment"),
        ("/v1/{a=**}/x", "last segment"),
        ("/v1/{a}/{a}", "twice"),
        ("/v1/x:", "a segment"),
        ("/v1/x:a/b", "unexpected"),
        ("/v1/***", "unexpected"),
        ("/v1/%zz", "broken"),
        ("/v1/x?y", "unexpected"),
    ] {
        let error = Template::parse(bad).unwrap_err().to_string();
        assert!(error.contains(problem), "{bad}: {error}");
    }
}

#[test]
fn values_are_bound_as_the_specification_says() {
    let matcher = matcher(&[
        "/v1/messages/{message_id}",
        "/v1/{name=shelves/*/books/*}",
        "/v1/{name=shelves/*}",
        "/v1/{name=shelves/*}:open",
        "/files/{path=**}",
        "/files/{path=**}:probe",
        "/v2/*/x/{rest=a/**}",
    ]);
    for (path, template, value) in [
        ("/v1/messages/123456", "/v1/messages/{message_id}", "123456"),
        // One segment is decoded wholly, a slash in it too.
        (
            "/v1/messages/a%2Fb%20c",
            "/v1/messages/{message_id}",
            "a/b c",
        ),
        ("/v1/messages/%E6%82%A3", "/v1/messages/{message_id}", "患"),
        ("/v1/messages/a:b", "/v1/messages/{message_id}", "a:b"),
        ("/v1/messages/a+b", "/v1/messages/{message_id}", "a+b"),
        // Of several, a slash that is data stays encoded.
        (
            "/v1/shelves/a%2fb/books/c%20d",
            "/v1/{name=shelves/*/books/*}",
            "shelves/a%2fb/books/c d",
        ),
        ("/v1/shelves/1", "/v1/{name=shelves/*}", "shelves/1"),
        (
            "/v1/shelves/1:open",
            "/v1/{name=shelves/*}:open",
            "shelves/1",
        ),
        (
            "/v1/shelves/1:close",
            "/v1/{name=shelves/*}",
            "shelves/1:close",
        ),
        (
            "/v1/shelves/1%3Aopen",
            "/v1/{name=shelves/*}",
            "shelves/1:open",
        ),
        (
            "/v1/shelves/a:b:open",
            "/v1/{name=shelves/*}:open",
            "shelves/a:b",
        ),
        ("/files", "/files/{path=**}", ""),
        ("/files/", "/files/{path=**}", ""),
        ("/files/a/b/c.txt", "/files/{path=**}", "a/b/c.txt"),
        ("/files/a//b", "/files/{path=**}", "a//b"),
        ("/files/a/b:probe", "/files/{path=**}:probe", "a/b"),
        ("/v2/any/x/a", "/v2/*/x/{rest=a/**}", "a"),
        ("/v2/any/x/a/b/c", "/v2/*/x/{rest=a/**}", "a/b/c"),
        ("/v1/%73helves/1", "/v1/{name=shelves/*}", "shelves/1"),
    ] {
        let (found, values) = bound(&matcher, path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            (found, values),
            (template, vec![value.to_owned()]),
            "{path}"
        );
    }
    for path in [
        "",
        "/",
        "/v1",
        "/v1/messages",
        "/v1/messages/",
        "/v1/messages/a/b",
        "/v2//x/a",
        "v1/messages/a",
    ] {
        assert_eq!(bound(&matcher, path), None, "{path}");
    }
    let broken = matcher.find(&Method::GET, "/v1/messages/%zz").unwrap();
    assert_eq!(broken.values().collect::<Vec<_>>(), [None]);
}

#[test]
fn a_text_goes_before_a_star_whatever_the_order() {
    let templates = [
        "/a/**",
        "/a/*/c",
        "/a/b/*",
        "/a/b/c",
        "/a/{x}/d",
        "/a/b/{y}:v",
    ];
    for shift in 0..templates.len() {
        let mut turned = templates;
        turned.rotate_left(shift);
        let matcher = matcher(&turned);
        for (path, expected) in [
            ("/a/b/c", "/a/b/c"),
            ("/a/b/x", "/a/b/*"),
            ("/a/x/c", "/a/*/c"),
            // The branch of `b` has no `d`, so that it is left again.
            ("/a/x/d", "/a/{x}/d"),
            ("/a/b/d", "/a/b/*"),
            ("/a/b/c:v", "/a/b/{y}:v"),
            ("/a/x/y", "/a/**"),
            ("/a/b/c/d", "/a/**"),
            ("/a", "/a/**"),
        ] {
            assert_eq!(
                bound(&matcher, path).map(|(found, _)| found),
                Some(expected),
                "{path}"
            );
        }
    }
}

#[test]
fn two_rules_for_one_path_are_found() {
    for (one, other) in [
        ("/v1/{a}", "/v1/{b}"),
        ("/v1/{a}", "/v1/*"),
        ("/v1/{a=x/*}", "/v1/x/{b}"),
        ("/v1/{a=**}", "/v1/**"),
        ("/v1/{a}:go", "/v1/{b}:go"),
    ] {
        let mut matcher = matcher(&[one]);
        let template = Template::parse(other).unwrap();
        assert_eq!(matcher.insert(get(), template.clone(), other), Err(&one));
        let put = Verb::Method("PUT".to_owned());
        assert_eq!(matcher.insert(put, template, other), Ok(()));
    }
    for (one, other) in [
        ("/v1/{a}", "/v1/a"),
        ("/v1/{a}", "/v1/{a}:go"),
        ("/v1/{a}", "/v1/**"),
    ] {
        matcher(&[one, other]);
    }
}

#[test]
fn methods_are_told_apart() {
    let mut matcher = matcher(&["/a/{x}"]);
    let insert = |matcher: &mut Matcher<&'static str>, verb, text: &'static str| {
        matcher
            .insert(verb, Template::parse(text).unwrap(), text)
            .unwrap();
    };
    insert(&mut matcher, Verb::Method("POST".to_owned()), "/a/b");
    insert(&mut matcher, Verb::Any, "/any/*");
    let rule = |method: Method, path| matcher.find(&method, path).map(|found| *found.rule);
    assert_eq!(rule(Method::GET, "/a/b"), Some("/a/{x}"));
    assert_eq!(rule(Method::HEAD, "/a/b"), Some("/a/{x}"));
    assert_eq!(rule(Method::POST, "/a/b"), Some("/a/b"));
    assert_eq!(rule(Method::POST, "/a/c"), None);
    assert_eq!(rule("BREW".parse().unwrap(), "/any/x"), Some("/any/*"));
    assert_eq!(matcher.methods("/a/b"), [Method::GET, Method::POST]);
    assert_eq!(matcher.methods("/a/c"), [Method::GET]);
    assert!(matcher.methods("/x").is_empty());
}

/// A template from parts, its text, and a path that it prints with the values that it must bind.
#[derive(Debug, Clone)]
struct Printed {
    template: String,
    path: String,
    values: Vec<String>,
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,5}"
}

/// Text as it may stand in a segment, with everything that must be encoded.
fn data() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zA-Z0-9 /%:?#+&=患é.~-]{1,8}").unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// One variable with its value: of one segment, of two, or of the rest.
fn variable(name: usize) -> impl Strategy<Value = Printed> {
    let one = data().prop_map(move |value| Printed {
        template: format!("{{f{name}}}"),
        path: encoded(&value),
        values: vec![value],
    });
    let two = (word(), data()).prop_map(move |(word, value)| Printed {
        template: format!("{{f{name}={word}/*}}"),
        path: format!("{word}/{}", encoded(&value)),
        values: vec![format!("{word}/{}", value.replace('/', "%2F"))],
    });
    one.boxed().prop_union(two.boxed())
}

fn printed() -> impl Strategy<Value = Printed> {
    let parts = proptest::collection::vec((word(), any::<bool>()), 1..5);
    let tail = proptest::option::of(word());
    (parts, tail).prop_flat_map(|(parts, verb)| {
        let pieces: Vec<BoxedStrategy<Printed>> = parts
            .into_iter()
            .enumerate()
            .map(|(at, (word, fixed))| {
                if fixed {
                    let literal = Printed {
                        template: word.clone(),
                        path: word,
                        values: Vec::new(),
                    };
                    Just(literal).boxed()
                } else {
                    variable(at).boxed()
                }
            })
            .collect();
        pieces.prop_map(move |pieces| {
            let mut whole = Printed {
                template: String::new(),
                path: String::new(),
                values: Vec::new(),
            };
            for piece in pieces {
                whole.template += &format!("/{}", piece.template);
                whole.path += &format!("/{}", piece.path);
                whole.values.extend(piece.values);
            }
            if let Some(verb) = &verb {
                whole.template += &format!(":{verb}");
                whole.path += &format!(":{verb}");
            }
            whole
        })
    })
}

proptest! {
    #[test]
    fn a_match_binds_what_the_template_prints(printed in printed()) {
        let template = Template::parse(&printed.template).unwrap();
        let mut matcher = Matcher::default();
        matcher.insert(get(), template, ()).unwrap();
        let found = matcher.find(&Method::GET, &printed.path);
        let found = found.unwrap_or_else(|| panic!("{} does not fit {}", printed.path, printed.template));
        let values: Vec<String> = found.values().map(Option::unwrap).collect();
        prop_assert_eq!(values, printed.values);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,40}", path in "\\PC{0,40}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert!(!template.segments().is_empty());
            let rests = template.segments().iter().filter(|one| **one == Segment::Rest);
            prop_assert!(rests.count() <= 1);
            let mut matcher = Matcher::default();
            matcher.insert(get(), template, ()).unwrap();
            if let Some(found) = matcher.find(&Method::GET, &path) {
                let _ = found.values().count();
            }
        }
    }

    #[test]
    fn no_template_of_its_signs_breaks_the_reader(text in "[/{}*=:.a%]{0,24}", path in "[/:a%2F]{0,24}") {
        if let Ok(template) = Template::parse(&text) {
            let mut matcher = Matcher::default();
            matcher.insert(get(), template, ()).unwrap();
            if let Some(found) = matcher.find(&Method::GET, &path) {
                let _ = found.values().count();
            }
        }
    }
}
