//! `--compare`: the difference to another counter's figures, by model and by cause.
//!
//! What the other counter reads is derived response by response from the same transcripts, by the rules that its source
//! states ([`counter`]). What these rules do not explain is shown as unexplained.

mod causes;
mod counter;
mod documents;
mod figures;
mod grid;
mod price;
mod reading;
mod skip;
mod text;

use std::error::Error;
use std::path::Path;

use bridge::{BackfillOptions, ResponseUsage};

use crate::args::Format;
use crate::opened::Opened;

/// Compares the opened transcripts with the figures in this file, and formats the difference.
pub(crate) async fn compare(opened: &Opened, file: &Path, format: Format) -> Result<String, Box<dyn Error>> {
    let figures = figures::read(file)?;
    let history = opened.bridge.analyze_historical_data(BackfillOptions::default()).await?;
    let own: Vec<ResponseUsage> = history.responses().map(|response| response.to_usage()).collect();
    let read = reading::read(&opened.roots, figures.counter)?;
    let comparison = causes::Comparison::new(&opened.catalog, &own, &read, &figures);
    Ok(text::format(&comparison, format))
}

#[cfg(test)]
mod tests {
    use bridge::analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files, discover};
    use bridge::pricing::{Catalog, CustomPrices, Discount, EntryLocation, Period};
    use serde_json::{Value, json};

    use super::*;

    /// Returns the first model's comparison as JSON.
    fn compared(lines: &[Value], figures: &Value) -> Value {
        let text = text::format(&comparison(lines, figures), Format::Json);
        serde_json::from_str::<Value>(&text).unwrap()["models"][0].clone()
    }

    /// Compares these lines with the figures of `ccusage daily --json` or `tokscale --json`.
    fn comparison(lines: &[Value], figures: &Value) -> causes::Comparison {
        comparison_by(Catalog::shipped(), lines, figures)
    }

    fn comparison_by(catalog: &Catalog, lines: &[Value], figures: &Value) -> causes::Comparison {
        let folder = tempfile::tempdir().unwrap();
        let transcript: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.path().join("s.jsonl"), transcript).unwrap();
        let file = folder.path().join("figures.json");
        std::fs::write(&file, figures.to_string()).unwrap();
        let roots = [folder.path().join("s.jsonl")];
        let mut history = History::default();
        let (options, progress) = (AnalyzerOptions::default(), AnalysisProgress::default());
        analyze_files(&discover(&roots).files, &options, &progress, &mut history, |_| {});
        let own: Vec<_> = history.responses().map(|response| response.to_usage()).collect();
        let figures = figures::read(&file).unwrap();
        let read = reading::read(&roots, figures.counter).unwrap();
        causes::Comparison::new(catalog, &own, &read, &figures)
    }

    /// A line of a response of claude-opus-4-5 with a million tokens of output for each of `output`.
    fn line(message: u64, output: u64) -> Value {
        json!({
            "type": "assistant", "sessionId": "s", "timestamp": "2026-01-31T12:00:00Z", "requestId": format!("req_{message}"),
            "message": {"id": format!("msg_{message:024}"), "model": "claude-opus-4-5", "stop_reason": "end_turn",
                "usage": {"input_tokens": 0, "output_tokens": output * 1_000_000}},
        })
    }

    fn ccusage(output: u64, cost: f64) -> Value {
        json!({"daily": [{"modelBreakdowns": [{"modelName": "claude-opus-4-5-20251101", "inputTokens": 0,
            "outputTokens": output * 1_000_000, "cacheCreationTokens": 0, "cacheReadTokens": 0, "cost": cost}]}]})
    }

    #[test]
    fn each_difference_has_its_cause_and_its_dollars() {
        let mut other_chain = line(1, 3);
        other_chain["isSidechain"] = true.into();
        let nested = json!({"type": "progress", "data": {"message": line(2, 1)}, "sessionId": "s"});
        let mut null = line(3, 2);
        null["cwd"] = Value::Null;
        // Of the first response ccusage takes the line of the main chain, and the third it skips.
        let found = compared(&[line(1, 1), other_chain, nested.clone(), null.clone()], &ccusage(2, 50.0));
        let causes: Vec<_> = found["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| (&cause["tokens"], &cause["usd"]))
            .collect();
        assert_eq!(
            causes,
            [(&json!("-2000000"), &json!("-50")), (&json!("-2000000"), &json!("-50"))],
            "{found:#}"
        );
        assert_eq!(
            (&found["unexplained_tokens"], &found["price_causes"]),
            (&json!("0"), &json!([])),
            "{found:#}"
        );

        let tokscale = json!({"entries": [{"model": "claude-opus-4-5", "input": 0, "output": 5_000_000, "cacheWrite": 0,
            "cacheRead": 0, "cost": 0.0}]});
        let found = compared(&[line(1, 3), nested, null], &tokscale);
        assert_eq!(found["causes"][0]["cause"], "only in progress records, which tokscale does not read");
        assert_eq!(
            (&found["unexplained_tokens"], &found["price_causes"]),
            (&json!("0"), &json!([{"cause": "tokscale states no cost", "usd": "-125"}]))
        );
    }

    #[test]
    fn what_no_rule_explains_is_unexplained_and_another_price_is_named() {
        let found = compared(&[line(1, 1)], &ccusage(2, 25.0));
        assert_eq!(found["unexplained_tokens"], "1000000");
        assert_eq!(found["price_causes"], json!([]));
        let found = compared(&[line(1, 1)], &ccusage(1, 75.0));
        assert_eq!(found["price_causes"], json!([{"cause": "different price", "usd": "50"}]));
    }

    #[test]
    fn what_has_no_price_yet_is_told_from_another_price() {
        let at = |message, time: &str| {
            let mut line = line(message, 1);
            line["timestamp"] = time.into();
            line
        };
        // The model's prices begin on 2025-11-01: $25 for a million tokens of output.
        let lines = [at(1, "2025-10-01T12:00:00Z"), at(2, "2026-01-31T12:00:00Z")];
        let yet = "no price for 1,000,000 tokens at that date; valued at the model's first price";
        let found = compared(&lines, &ccusage(2, 50.0));
        assert_eq!(found["price_causes"], json!([{"cause": yet, "usd": "25"}]), "{found:#}");
        let found = compared(&lines, &ccusage(2, 60.0));
        let another = json!({"cause": "different price", "usd": "10"});
        assert_eq!(found["price_causes"], json!([{"cause": yet, "usd": "25"}, another]));
        // A response that the counter does not have, either.
        let found = compared(&lines, &ccusage(1, 25.0));
        assert_eq!((&found["unexplained_tokens"], &found["own_usd"]), (&json!("-1000000"), &json!("25")));

        let mut unknown = line(1, 1);
        unknown["message"]["model"] = "claude-next".into();
        let mut figures = ccusage(1, 5.0);
        figures["daily"][0]["modelBreakdowns"][0]["modelName"] = "claude-next".into();
        let found = compared(&[unknown], &figures);
        assert_eq!(
            found["price_causes"],
            json!([{"cause": "no price here for 1,000,000 tokens", "usd": "5"}])
        );
    }

    #[test]
    fn the_lines_of_a_model_add_up_in_csv_in_plain_numbers() {
        let mut figures = ccusage(1, 30.0);
        figures["daily"][0]["modelBreakdowns"][0]["inputTokens"] = 5.into();
        let csv = text::format(&comparison(&[line(1, 1), line(2, 1)], &figures), Format::Csv);
        let lines: Vec<_> = csv.split_terminator("\r\n").collect();
        assert_eq!(
            lines,
            [
                "model,item,responses,tokens,usd,unpriced_tokens",
                "claude-opus-4-5,here,,2000000,50,0",
                "claude-opus-4-5,unexplained,,-999995,-20,",
                "claude-opus-4-5,ccusage,,1000005,30,",
            ]
        );
    }

    #[test]
    fn a_cause_whose_tokens_add_up_to_nothing_keeps_its_dollars() {
        let on_other_chain = |message, output| {
            let mut line = line(message, output);
            line["isSidechain"] = true.into();
            line
        };
        // Of both responses ccusage takes the line of the main chain: once with fewer tokens, once with as many more.
        let mut input = line(2, 0);
        input["message"]["usage"]["input_tokens"] = 2_000_000.into();
        let lines = [line(1, 1), on_other_chain(1, 2), input, on_other_chain(2, 1)];
        let mut figures = ccusage(1, 35.0);
        figures["daily"][0]["modelBreakdowns"][0]["inputTokens"] = 2_000_000.into();
        let found = compared(&lines, &figures);
        let cause = json!({"cause": "ccusage takes another snapshot of the response", "responses": 2, "tokens": "0",
            "usd": "-40"});
        assert_eq!((&found["causes"], &found["price_causes"]), (&json!([cause]), &json!([])), "{found:#}");
    }

    /// Each factor of a price is recognized by the cost without it.
    #[test]
    fn what_another_counter_leaves_out_of_a_price_is_named() {
        let with = |model: &str, usage: Value| {
            let mut line = line(1, 0);
            line["message"]["model"] = model.into();
            let fields = usage.as_object().unwrap().clone();
            line["message"]["usage"].as_object_mut().unwrap().extend(fields);
            line
        };
        let million = 1_000_000;
        for (model, usage, cost, cause, dollars) in [
            (
                "claude-opus-4-6",
                json!({"output_tokens": million, "server_tool_use": {"web_search_requests": 1000}}),
                25.0,
                "ccusage does not price web searches",
                "-10",
            ),
            (
                "claude-opus-4-6",
                json!({"output_tokens": million, "speed": "fast"}),
                25.0,
                "ccusage prices the fast mode like the standard one",
                "-125",
            ),
            (
                "claude-opus-4-6",
                json!({"output_tokens": million, "service_tier": "batch"}),
                25.0,
                "ccusage prices all service tiers like the standard one",
                "12.5",
            ),
            (
                "claude-opus-4-6",
                json!({"output_tokens": million, "inference_geo": "us"}),
                25.0,
                "ccusage prices all geographies alike",
                "-2.5",
            ),
            (
                "claude-sonnet-4-5",
                json!({"input_tokens": million}),
                3.0,
                "ccusage prices large requests like small ones",
                "-3",
            ),
        ] {
            let counted = |name: &str| usage[name].as_u64().unwrap_or(0);
            let figures = json!({"daily": [{"modelBreakdowns": [{"modelName": model,
                "inputTokens": counted("input_tokens"), "outputTokens": counted("output_tokens"),
                "cacheCreationTokens": 0, "cacheReadTokens": 0, "cost": cost}]}]});
            let mut line = with(model, usage.clone());
            line["timestamp"] = "2026-03-31T12:00:00Z".into();
            let found = compared(&[line], &figures);
            assert_eq!(found["price_causes"], json!([{"cause": cause, "usd": dollars}]), "{found:#}");
        }
    }

    #[test]
    fn a_counter_that_knows_no_discounts_is_recognized() {
        let discount = Discount {
            location: EntryLocation { name: "pricing.discounts[0]".to_owned(), line: None },
            provider: Some("anthropic".to_owned()),
            model: None,
            period: Period::default(),
            percent: "20".parse().unwrap(),
        };
        let custom = CustomPrices { discounts: vec![discount], ..CustomPrices::default() };
        let catalog = Catalog::shipped().with(&custom).unwrap();
        let comparison = comparison_by(&catalog, &[line(1, 1)], &ccusage(1, 25.0));
        let found: Value = serde_json::from_str(&text::format(&comparison, Format::Json)).unwrap();
        let cause = json!({"cause": "ccusage prices without the discounts", "usd": "5"});
        assert_eq!(found["models"][0]["price_causes"], json!([cause]), "{found:#}");
    }

    #[test]
    fn web_searches_are_not_repeated_with_the_tokens_of_a_response() {
        let mut first = line(1, 1);
        first["message"]["usage"]["server_tool_use"] = json!({"web_search_requests": 1000});
        let mut again = first.clone();
        again["requestId"] = "req_another".into();
        let found = compared(&[first, again], &ccusage(2, 50.0));
        let repeated = json!({"cause": "ccusage counts the response again, for another request or session",
            "responses": 1, "tokens": "1000000", "usd": "25"});
        let searches = json!({"cause": "ccusage does not price web searches", "usd": "-10"});
        assert_eq!((&found["causes"], &found["price_causes"]), (&json!([repeated]), &json!([searches])));
    }

    #[test]
    fn cache_writes_for_an_hour_at_the_wrong_price_are_recognized() {
        let mut written = line(1, 0);
        written["message"]["usage"] = json!({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 1_000_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000_000}});
        // An hour costs $10, five minutes $6.25.
        let mut figures = ccusage(0, 6.25);
        figures["daily"][0]["modelBreakdowns"][0]["cacheCreationTokens"] = 1_000_000.into();
        // Beside a response of an hour that the counter does not have.
        let mut unread = written.clone();
        (unread["message"]["id"], unread["cwd"]) = (format!("msg_{:024}", 2).into(), Value::Null);
        let found = compared(&[written, unread], &figures);
        let cause = "ccusage prices cache writes for an hour like those for five minutes";
        assert_eq!(found["price_causes"], json!([{"cause": cause, "usd": "-3.75"}]), "{found:#}");
    }
}
