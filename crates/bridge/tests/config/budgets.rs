//! Budgets in the configuration, and what is wrong with them.

use bridge::Dimension;
use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod};
use bridge::config::BridgeConfig;

fn config(budgets: &str) -> String {
    format!("enhanced_token_bridge:\n  monitoring:\n    budgets:\n{budgets}")
}

fn problems(budgets: &str) -> Vec<String> {
    let error = BridgeConfig::from_yaml_str(&config(budgets)).unwrap_err();
    let shown = error.problems().iter().map(ToString::to_string);
    shown.map(|problem| problem.replace("enhanced_token_bridge.monitoring.budgets", "…")).collect()
}

#[test]
fn every_key_of_a_budget_is_read() {
    let text = config(
        "      - name: web\n        usd: 12.50\n        period: rolling 7d\n        zone: Europe/Berlin\n        warn_at: 60%\n        \
         where:\n          team: web\n          label:env: [ci, '']\n      - {name: 'n', tokens: 7, period: day, zone: ~}\n",
    );
    let budgets = BridgeConfig::from_yaml_str(&text).unwrap().budgets;
    let money = BudgetAmount::Money("12.50".parse().unwrap());
    let web = Budget::new("web", money, BudgetPeriod::Rolling { days: 7 }).unwrap();
    let web = web.in_zone("Europe/Berlin".parse().unwrap()).warning_at(60).unwrap();
    let web = web.of(Dimension::Team, ["web"]).of(Dimension::label("env").unwrap(), ["ci", ""]);
    let second = Budget::new("n", BudgetAmount::Tokens(7), BudgetPeriod::Day).unwrap();
    assert_eq!(budgets.iter().cloned().collect::<Vec<_>>(), [web, second]);
}

#[test]
fn each_problem_has_its_line_and_key() {
    let mut found = problems(
        "      - {usd: 5, period: day}\n      - name: a\n        usd: -3\n        period: year\n        zone: Europe/Atlantis\n        \
         warn_at: 80\n        perod: day\n        where: {color: red, team: [], model: {a: b}}\n      - all\n",
    );
    let dimension = found.iter().position(|problem| problem.contains("color")).unwrap();
    let dimension = found.remove(dimension);
    assert!(
        dimension.starts_with("line 11, column 17: …[1].where.color: dimension must be one of session"),
        "{dimension}"
    );
    assert_eq!(
        found,
        [
            "line 4, column 9: …[0].name: is missing",
            "line 10, column 9: …[1].perod: is no key (did you mean period?); allowed are name, usd, tokens, period, zone, \
         where, warn_at",
            "line 6, column 14: …[1].usd: \"-3\" is not allowed; allowed is an amount of dollars above 0, like 500 or 12.50",
            "line 7, column 17: …[1].period: \"year\" is not allowed; allowed is day, week, month, or rolling 7d (1 to 366 days)",
            "line 8, column 15: …[1].zone: \"Europe/Atlantis\" is not allowed; allowed is a time zone of the IANA database, like \
         Europe/Berlin",
            "line 9, column 18: …[1].warn_at: \"80\" is not allowed; allowed is 1% to 100%",
            "line 11, column 35: …[1].where.team: must be a text or a list of texts",
            "line 11, column 46: …[1].where.model: must be a text or a list of texts",
            "line 12, column 9: …[2]: must have the keys name, usd, tokens, period, zone, where, warn_at",
        ]
    );
}

#[test]
fn a_limit_is_of_money_or_of_tokens() {
    for (limit, place) in [("usd: 1, tokens: 1", "1].tokens"), ("", "usd: is missing")] {
        let found = problems(&format!(
            "      - {{name: b, period: day, tokens: 5}}\n      - {{name: a, period: day, {limit}}}\n"
        ));
        assert!(found.len() == 1 && found[0].contains(place), "{found:?}");
    }
    for tokens in ["0", "-1", "1.5", "+1", "1e3", "18446744073709551616", "[1]"] {
        let found = problems(&format!("      - {{name: a, period: day, tokens: {tokens}}}\n"));
        assert!(found.len() == 1 && found[0].contains("…[0].tokens: "), "{found:?}");
    }
}

#[test]
fn two_budgets_of_one_name_are_refused() {
    let found =
        problems("      - {name: a, period: day, tokens: 5}\n      - {name: a, period: week, tokens: 5}\n");
    assert_eq!(found, ["line 5, column 9: …[1].name: is that of another budget"]);
}

#[test]
fn what_is_no_list_of_mappings_is_refused() {
    for text in ["all", "{name: a}", "[a]", "[[a]]", "[&a {name: a, period: day, tokens: 5}, *a]"] {
        let whole = format!("enhanced_token_bridge:\n  monitoring:\n    budgets: {text}\n");
        assert!(BridgeConfig::from_yaml_str(&whole).is_err(), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(
        BridgeConfig::from_yaml_str(&format!("enhanced_token_bridge: {{monitoring: {{budgets: {deep}}}}}"))
            .is_err()
    );
}

#[test]
fn a_variable_has_the_same_text_as_the_file() {
    let with = |text: &'static str| {
        BridgeConfig::default()
            .with_env(move |name| (name == "ETB_MONITORING_BUDGETS").then(|| text.to_owned()))
    };
    let budgets = with("[{name: a, period: day, tokens: 5}]").unwrap().budgets;
    assert_eq!(budgets.iter().map(Budget::name).collect::<Vec<_>>(), ["a"]);
    let error = with("[{name: a, period: year, tokens: 5}]").unwrap_err().to_string();
    assert!(error.starts_with("environment variable ETB_MONITORING_BUDGETS: enhanced_token_bridge.monitoring.budgets[0].period: "), "{error}");
    assert!(with("[").is_err() && with("a=b").is_err());
}
