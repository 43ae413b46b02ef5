//! The columns that name models: the same function as [`ModelName::canonical`], in SQL.

use std::collections::BTreeMap;

use bridge_core::{ModelName, ResponseUsage};
use bridge_storage::{TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::{client, fresh, response};

const NAMES: usize = 20_000;

/// Returns names in the forms of all services, and pieces of them in orders that no service writes.
fn names() -> impl Strategy<Value = String> {
    let base = "(claude-(sonnet-4|opus-4-[1-8]|4[.-]5-haiku|3[.-]5-sonnet|4-sonnet-[a-z]{0,3}|[0-9.-]{0,5})|gpt-[45]o?|o[0-4](-mini)?|oracle|\
                gemini-2\\.5-pro|qwen[23]-coder|qwenish|llama3|nova-pro|glm-4\\.6|MiniMax-M2|<synthetic>|É|\n|)";
    let carrier = "(openrouter/|bedrock/(converse/|invoke/)?|vertex_ai/|azure(_ai)?/|corp/|arn:aws:bedrock:eu-west-1::(foundation-model/|inference-profile/|application-inference-profile/)?\
                   |arn:a:|(projects/p?/locations/l/)?publishers/(anthropic|x)?/?models/|)";
    let vendor = "(((us|eu|us-gov|global|US|u1)\\.)?(anthropic|openai|meta-llama|meta|x-ai|deepseek-ai|amazon|corp)[./]|)";
    let suffix = "(-20250514|-2024-08-06|-202505|-latest|-v[12]|-v1:0|-1:0|:200k|@20250514|@default|@x|:free|:thinking|:5|\\[1m\\]|\\[200K\\]|\\[m\\]|-|\\.5){0,4}";
    let piece = proptest::string::string_regex("[a-z0-9:./@\\[\\]-]{0,12}").unwrap();
    let whole = [carrier, vendor, base, suffix].map(|part| proptest::string::string_regex(part).unwrap());
    (whole, piece, 0_u8..8).prop_map(|(parts, piece, odd)| match odd {
        0 => piece,
        1 => parts.concat() + &piece,
        _ => parts.concat(),
    })
}

/// Returns a model's name, provider and route as the database computes them.
async fn computed(database: &TestDatabase) -> BTreeMap<String, [String; 3]> {
    let query = "SELECT model, canonical_model, provider, model_route FROM token_usage FINAL";
    let rows: Vec<(String, String, String, String)> =
        client(database).query(query).fetch_all().await.unwrap();
    rows.into_iter().map(|(model, name, provider, route)| (model, [name, provider, route])).collect()
}

#[tokio::test]
async fn the_database_computes_what_the_library_computes() {
    let store = fresh().await;
    let mut runner = TestRunner::deterministic();
    let strategy = names();
    let rows: Vec<ResponseUsage> = (0..NAMES)
        .map(|key| {
            let name = strategy.new_tree(&mut runner).unwrap().current();
            ResponseUsage { model: ModelName::new(name).ok(), ..response(key as u128, 1) }
        })
        .collect();
    let known = rows.iter().filter_map(|row| row.model.clone());
    let expected: BTreeMap<_, _> = known
        .map(|stored| {
            let model = stored.canonical();
            let names = [model.name.as_str(), model.provider.name(), model.route.name()];
            (stored.to_string(), names.map(str::to_owned))
        })
        .collect();
    assert!(expected.len() > NAMES / 4);
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();

    let mut found = computed(&TestDatabase::of_this_test()).await;
    assert_eq!(found.remove("").unwrap(), ["", "", ""], "a row without a model has none");
    for (model, names) in &expected {
        assert_eq!(&found[model], names, "{model:?}");
    }
}
