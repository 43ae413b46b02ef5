//! The JSON schema of the answers, and the page that describes them.

use std::fs;

use boon::{Compiler, Schemas};
use serde_json::Value;

const SCHEMA: &str = "https://bridge.test/http-api.schema.json";

fn document(name: &str) -> String {
    fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Asserts that the value is of this definition of the schema.
pub(super) fn assert_valid(definition: &str, value: &Value) {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(SCHEMA, serde_json::from_str(&document("http-api.schema.json")).unwrap()).unwrap();
    let index = compiler.compile(&format!("{SCHEMA}#/$defs/{definition}"), &mut schemas).unwrap();
    if let Err(error) = schemas.validate(value, index) {
        panic!("{error:#}\nof {definition} in {value:#}");
    }
}

/// Each example follows a line that names its definition.
#[test]
fn examples_of_the_page_are_valid() {
    let page = document("http-api.md");
    let (mut definition, mut example, mut examples) = (None, None::<String>, 0);
    for line in page.lines() {
        if let Some((before, _)) = line.split_once("`](http-api.schema.json)") {
            definition = before.rsplit('`').next();
        } else if line == "```json" {
            example = Some(String::new());
        } else if line == "```"
            && let Some(text) = example.take()
        {
            let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_valid(definition.take().expect("a definition before each example"), &value);
            examples += 1;
        } else if let Some(example) = &mut example {
            example.push_str(line);
        }
    }
    assert!(examples >= 10, "{examples} examples");
}

/// The page lists every type of problem with its status, and has every resource of the router.
#[test]
fn the_page_is_complete() {
    let page = document("http-api.md");
    let source =
        |file: &str| fs::read_to_string(format!("{}/src/web/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let code = source("mod.rs");
    let routes: Vec<_> = code.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > 10, "{routes:?}");
    for route in routes.iter().filter(|route| !route.contains("{*")) {
        let is_on_page = |method| page.contains(&format!("{method} {route}"));
        assert!(is_on_page("GET") || is_on_page("POST"), "{route} is not on the page");
    }
    let schema: Value = serde_json::from_str(&document("http-api.schema.json")).unwrap();
    for definition in page.split("[`").skip(1).filter_map(|rest| rest.split_once("`](http-api.schema.json)"))
    {
        assert!(schema["$defs"].get(definition.0).is_some(), "no definition {}", definition.0);
    }
}

#[test]
fn a_number_of_64_bits_that_is_no_string_is_not_valid() {
    let count = |value| {
        std::panic::catch_unwind(|| assert_valid("Count", &serde_json::from_str(value).unwrap())).is_ok()
    };
    assert!(count("\"18446744073709551615\"") && count("\"0\""));
    assert!(!count("1") && !count("\"-1\"") && !count("\"01\"") && !count("null"));
}
