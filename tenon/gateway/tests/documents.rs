//! The merged OpenAPI document and the page that shows it.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tenon_gateway::{docs, openapi};
use tower::ServiceExt;

fn document(paths: Value, schemas: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "part", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:8101"}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn reads(reference: &str) -> Value {
    json!({"get": {
        "operationId": "read",
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": reference}}}}},
    }})
}

#[test]
fn what_is_equal_is_shared_and_what_differs_is_renamed_with_its_references() {
    let page = json!({"type": "object", "properties": {"nextCursor": {"type": "string"}}});
    let of_patient =
        json!({"type": "object", "properties": {"page": {"$ref": "#/components/schemas/Page"}}});
    let of_trial = json!({"type": "array", "items": {"$ref": "#/components/schemas/Item"}});
    let item = json!({"oneOf": [{"$ref": "#/components/schemas/Status"}],
        "discriminator": {"propertyName": "kind", "mapping": {"s": "#/components/schemas/Status"}}});
    let patient = document(
        json!({"/patient": reads("#/components/schemas/Status")}),
        json!({"Page": page, "Status": of_patient}),
    );
    let trial = document(
        json!({"/trial": reads("#/components/schemas/Status")}),
        json!({"Page": page, "Status": of_trial, "Item": item}),
    );
    let merged =
        openapi::merge("Cohort", "0.1.0", &[("patient", patient), ("trial", trial)]).unwrap();
    let schemas = &merged["components"]["schemas"];
    assert_eq!(
        merged["info"],
        json!({"title": "Cohort", "version": "0.1.0"})
    );
    assert_eq!(merged.get("servers"), None);
    let names: Vec<_> = schemas.as_object().unwrap().keys().collect();
    assert_eq!(names, ["Item", "Page", "Status", "trial.Status"]);
    let schema = |path: &str| {
        merged["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone()
    };
    assert_eq!(schema("/patient"), "#/components/schemas/Status");
    assert_eq!(schema("/trial"), "#/components/schemas/trial.Status");
    assert_eq!(
        schemas["Item"]["oneOf"][0]["$ref"],
        "#/components/schemas/trial.Status"
    );
    assert_eq!(
        schemas["Item"]["discriminator"]["mapping"]["s"],
        "#/components/schemas/trial.Status"
    );
    assert_eq!(merged["paths"]["/patient"]["get"]["operationId"], "read");
    assert_eq!(
        merged["paths"]["/trial"]["get"]["operationId"],
        "trial.read"
    );
    assert_eq!(merged["paths"]["/trial"]["get"]["tags"], json!(["trial"]));
}

#[test]
fn security_moves_into_the_operations() {
    let mut one = document(
        json!({"/a": {"get": {}, "post": {"security": []}}}),
        json!({}),
    );
    one["security"] = json!([{"token": []}]);
    one["components"]["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
    let mut two = document(json!({"/b": {"get": {}}}), json!({}));
    two["security"] = json!([{"token": []}]);
    two["components"]["securitySchemes"] = json!({"token": {"type": "http", "scheme": "basic"}});
    let merged = openapi::merge("t", "1", &[("one", one), ("two", two)]).unwrap();
    assert_eq!(merged.get("security"), None);
    assert_eq!(
        merged["paths"]["/a"]["get"]["security"],
        json!([{"token": []}])
    );
    assert_eq!(merged["paths"]["/a"]["post"]["security"], json!([]));
    assert_eq!(
        merged["paths"]["/b"]["get"]["security"],
        json!([{"two.token": []}])
    );
    let schemes = &merged["components"]["securitySchemes"];
    assert_eq!(schemes["two.token"]["scheme"], "basic");
}

#[test]
fn methods_of_one_path_come_together_and_equal_ones_are_refused() {
    let read = document(json!({"/a": {"get": {}}}), json!({}));
    let write = document(json!({"/a": {"post": {}}}), json!({}));
    let both = [("one", read.clone()), ("two", write)];
    let merged = openapi::merge("t", "1", &both).unwrap();
    assert_eq!(merged["paths"]["/a"].as_object().unwrap().len(), 2);
    let error = openapi::merge("t", "1", &[("one", read.clone()), ("two", read.clone())]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("two") && error.contains("get /a"), "{error}");
    let mut old = read.clone();
    old["openapi"] = json!("3.0.3");
    assert!(openapi::merge("t", "1", &[("one", read), ("two", old)]).is_err());
    for bad in [json!([]), json!({"swagger": "2.0"})] {
        assert!(openapi::merge("t", "1", &[("bad", bad)]).is_err());
    }
    let none = openapi::merge("t", "1", &[]).unwrap();
    assert_eq!(none["paths"], json!({}));
}

async fn fetch(router: &axum::Router, path: &str) -> (http::HeaderMap, String) {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let (head, body) = response.into_parts();
    let text = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_no_inline_code() {
    let document = document(json!({"/a": {"get": {}}}), json!({}));
    let router = docs::router(&document);
    let (headers, page) = fetch(&router, "/docs").await;
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let target = rest.split('"').next().unwrap();
            assert!(
                target.starts_with('/') && !target.starts_with("//"),
                "{target}"
            );
            fetch(&router, target).await;
            loaded += 1;
        }
    }
    assert!(loaded >= 3);
    assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("<style"));
    let (headers, script) = fetch(&router, "/docs/page.js").await;
    assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
    for forbidden in [
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "https://",
    ] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
    let (_, style) = fetch(&router, "/docs/page.css").await;
    assert!(!style.contains("@import") && !style.contains("url("));
    let (headers, text) = fetch(&router, "/openapi.json").await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
}
