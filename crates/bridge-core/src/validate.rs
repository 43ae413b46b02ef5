//! Validation of analyses before they are stored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::{Clock, EnhancedTokenAnalysis, SystemClock, Timestamp, TokenCounts};

/// Maximum counter that the validator accepts, 10^14 tokens.
///
/// The version of a row keeps 47 bits for the output and 49 for the sum of the four counters: 10^14 and 4 x 10^14 are
/// the greatest round numbers that fit, so that an accepted row always ranks by its counters. It is 100,000 times what
/// the analyzer accepts for one counter of a transcript, and 90,000 such rows fit in a 64-bit sum.
pub const COUNTER_MAX: u64 = 100_000_000_000_000;

/// One rule that an analysis breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, by the specification's name. That of a response includes its index: `responses[3].time`.
    pub field: String,
    /// The rule's name, stable for programs.
    pub rule: &'static str,
    /// The violation, with the values.
    pub message: String,
}

/// All violations of an analysis, sorted by field. Empty if it is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ValidationResult {
    /// The violations.
    pub violations: Vec<Violation>,
}

impl ValidationResult {
    /// Returns whether nothing is violated.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for ValidationResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", violation.field, crate::Escaped::text(&violation.message))?;
        }
        Ok(())
    }
}

/// Limits of the validator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ValidatorOptions {
    /// Maximum time that an analysis may be ahead of the clock, because clocks differ. Times of responses are not
    /// limited: they are whatever the machine's clock said.
    pub future_tolerance: Duration,
    /// The earliest accepted time of an analysis and of its responses. By default 1970-01-02, because a time on the
    /// day before comes from a clock that was never set.
    pub earliest: Timestamp,
}

impl Default for ValidatorOptions {
    fn default() -> Self {
        Self { future_tolerance: Duration::from_hours(24), earliest: SECOND_DAY }
    }
}

/// 1970-01-02T00:00:00Z.
const SECOND_DAY: Timestamp = Timestamp::from_constant(86_400_000);

/// Validator for enhanced token analyses. Reports every violation, not only the first.
///
/// The rules are the specification's: the total is the sum of its components and of the responses', the
/// accuracy ratio is 0 to 2, the times are in range, required fields are present, numbers are finite. In addition, no
/// counter exceeds [`COUNTER_MAX`], no id is blank, and the parts of a cache split do not exceed their total.
#[derive(Debug, Clone)]
pub struct AnalysisValidator {
    options: ValidatorOptions,
    clock: Arc<dyn Clock>,
}

impl Default for AnalysisValidator {
    fn default() -> Self {
        Self::new(ValidatorOptions::default(), Arc::new(SystemClock))
    }
}

impl AnalysisValidator {
    /// Returns a validator with these options that takes the time from this clock.
    #[must_use]
    pub fn new(options: ValidatorOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
    }

    /// Checks an analysis against every rule.
    pub fn validate_analysis(&self, analysis: &EnhancedTokenAnalysis) -> ValidationResult {
        let mut violations = check_form(analysis);
        self.check_times(analysis, &mut violations);
        check_ids(analysis, &mut violations);
        check_reported(analysis, &mut violations);
        check_splits(analysis, &mut violations);
        check_responses(analysis, &mut violations);
        sorted(violations)
    }

    /// Checks an analysis that the bridge's own analyzer has just made from transcripts.
    ///
    /// The time, session and cache split of a transcript come from a clock or gateway that may be wrong. By
    /// the counting rule, that is never a reason not to count. So the rules about these do not apply, nor does
    /// [`COUNTER_MAX`] to the sums of a session, which are not a row.
    pub fn validate_transcripts(&self, analysis: &EnhancedTokenAnalysis) -> ValidationResult {
        let mut violations = check_form(analysis);
        check_responses(analysis, &mut violations);
        sorted(violations)
    }

    fn check_times(&self, analysis: &EnhancedTokenAnalysis, violations: &mut Vec<Violation>) {
        let now = self.clock.now().as_millis();
        let tolerance = i64::try_from(self.options.future_tolerance.as_millis()).unwrap_or(i64::MAX);
        let latest = now.saturating_add(tolerance);
        if analysis.timestamp < self.options.earliest || analysis.timestamp.as_millis() > latest {
            violations.push(Violation {
                field: "timestamp".to_owned(),
                rule: "time_range",
                message: format!("{} is out of range", analysis.timestamp),
            });
        }
        for (index, response) in analysis.responses.iter().enumerate() {
            if response.time < self.options.earliest {
                violations.push(Violation {
                    field: format!("responses[{index}].time"),
                    rule: "time_range",
                    message: format!("{} is out of range", response.time),
                });
            }
        }
    }
}

/// The fields that the derived rules check. The rules about sums need two fields and are below.
#[derive(Validate)]
#[validate(schema(function = "check_total", skip_on_field_errors = false))]
struct AnalysisForm<'a> {
    #[validate(range(min = 0.0, max = 2.0), custom(function = "check_number"))]
    accuracy_ratio: f64,
    #[validate(range(min = 0.0, max = 100.0), custom(function = "check_number"))]
    undercount_percentage: f64,
    #[validate(range(min = 0.0), custom(function = "check_number"))]
    memory_usage_mb: f64,
    #[validate(length(min = 1, max = 512))]
    analysis_version: &'a str,
    analysis: &'a EnhancedTokenAnalysis,
}

fn check_form(analysis: &EnhancedTokenAnalysis) -> Vec<Violation> {
    let form = AnalysisForm {
        accuracy_ratio: analysis.accuracy_ratio,
        undercount_percentage: analysis.undercount_percentage,
        memory_usage_mb: analysis.memory_usage_mb,
        analysis_version: &analysis.analysis_version,
        analysis,
    };
    match form.validate() {
        Ok(()) => Vec::new(),
        Err(errors) => flatten(&errors),
    }
}

fn sorted(mut violations: Vec<Violation>) -> ValidationResult {
    violations.sort_by(|a, b| a.field.cmp(&b.field));
    ValidationResult { violations }
}

fn check_ids(analysis: &EnhancedTokenAnalysis, violations: &mut Vec<Violation>) {
    for (field, id) in
        [("analysis_id", analysis.analysis_id.as_str()), ("session_id", analysis.session_id.as_str())]
    {
        if id.trim().is_empty() {
            let message = format!("{id:?} is blank");
            violations.push(Violation { field: field.to_owned(), rule: "blank", message });
        }
    }
}

fn check_reported(analysis: &EnhancedTokenAnalysis, violations: &mut Vec<Violation>) {
    for (name, count) in counters(&analysis.reported()) {
        check_counter(format!("reported_{name}_tokens"), count, violations);
    }
}

fn check_splits(analysis: &EnhancedTokenAnalysis, violations: &mut Vec<Violation>) {
    for (index, response) in analysis.responses.iter().enumerate() {
        let short = response.cache_creation_5m;
        let long = response.cache_creation_1h;
        let total = response.counts.cache_creation;
        if short.checked_add(long).is_none_or(|sum| sum > total) {
            violations.push(Violation {
                field: format!("responses[{index}].cache_creation"),
                rule: "cache_split",
                message: format!(
                    "its parts, {short} for 5 minutes and {long} for 1 hour, exceed it, {total}"
                ),
            });
        }
    }
}

fn counters(counts: &TokenCounts) -> [(&'static str, u64); 4] {
    [
        ("input", counts.input),
        ("output", counts.output),
        ("cache_creation", counts.cache_creation),
        ("cache_read", counts.cache_read),
    ]
}

fn check_counter(field: String, count: u64, violations: &mut Vec<Violation>) {
    if count > COUNTER_MAX {
        let message = format!("{count} is more than {COUNTER_MAX} tokens");
        violations.push(Violation { field, rule: "counter_range", message });
    }
}

fn check_number(number: f64) -> Result<(), ValidationError> {
    if number.is_finite() { Ok(()) } else { Err(ValidationError::new("number")) }
}

fn check_total(form: &AnalysisForm<'_>) -> Result<(), ValidationError> {
    let total = form.analysis.calculated_total_tokens;
    let message = match form.analysis.reported().checked_total() {
        Ok(sum) if sum == total => return Ok(()),
        Ok(sum) => format!("{total} is not the sum of its components, {sum}"),
        Err(overflow) => overflow.to_string(),
    };
    Err(ValidationError::new("total").with_message(message.into()))
}

fn check_responses(analysis: &EnhancedTokenAnalysis, violations: &mut Vec<Violation>) {
    if analysis.responses.is_empty() {
        return;
    }
    for (index, response) in analysis.responses.iter().enumerate() {
        for (name, count) in counters(&response.counts).into_iter().filter(|(_, count)| *count > COUNTER_MAX)
        {
            check_counter(format!("responses[{index}].counts.{name}"), count, violations);
        }
    }
    let mut push = |field: String, rule, message| violations.push(Violation { field, rule, message });
    match TokenCounts::checked_sum(analysis.responses.iter().map(|response| response.counts)) {
        Ok(sum) if sum == analysis.reported() => {}
        Ok(sum) => push(
            "responses".to_owned(),
            "response_sum",
            format!("the responses sum to {sum:?}, reported are {:?}", analysis.reported()),
        ),
        Err(overflow) => push("responses".to_owned(), "response_sum", overflow.to_string()),
    }
    let mut seen = std::collections::HashSet::with_capacity(analysis.responses.len());
    for (index, response) in analysis.responses.iter().enumerate() {
        if response.session != analysis.session_id {
            push(
                format!("responses[{index}].session"),
                "session",
                format!("{} is not the analysis' session {}", response.session, analysis.session_id),
            );
        }
        if !response.origin.is_counted() {
            push(format!("responses[{index}].origin"), "origin", "a marker is not a response".to_owned());
        }
        if !seen.insert(response.key) {
            push(format!("responses[{index}].key"), "unique", format!("{} occurs twice", response.key));
        }
    }
}

fn flatten(errors: &ValidationErrors) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (field, kind) in errors.errors() {
        let ValidationErrorsKind::Field(field_errors) = kind else { continue };
        let field = if field == "__all__" { "calculated_total_tokens" } else { field.as_ref() };
        for error in field_errors {
            violations.push(Violation {
                field: field.to_owned(),
                rule: rule_name(&error.code),
                message: words(error),
            });
        }
    }
    violations
}

fn rule_name(code: &str) -> &'static str {
    match code {
        "range" => "range",
        "length" => "length",
        "total" => "total",
        _ => "number",
    }
}

fn words(error: &ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    let parameter = |name: &str| error.params.get(name).map(ToString::to_string);
    let value = parameter("value").unwrap_or_else(|| "the value".to_owned());
    match (error.code.as_ref(), parameter("min"), parameter("max")) {
        ("length", ..) => "must not be empty or longer than 512 bytes".to_owned(),
        ("range", Some(min), Some(max)) => format!("{value} is not in {min} to {max}"),
        ("range", Some(min), None) => format!("{value} is less than {min}"),
        _ => "is not a finite number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnalysisId, ManualClock, ResponseKey, ResponseUsage, SessionId};

    fn valid() -> EnhancedTokenAnalysis {
        let session = SessionId::new("s").unwrap();
        let time = Timestamp::from_millis(1_000).unwrap();
        let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
        response.counts = TokenCounts { input: 1, output: 2, cache_creation: 3, cache_read: 4 };
        EnhancedTokenAnalysis::from_responses(AnalysisId::new("a").unwrap(), session, time, vec![response])
            .unwrap()
    }

    fn violations(change: impl FnOnce(&mut EnhancedTokenAnalysis)) -> Vec<(String, &'static str)> {
        let clock = ManualClock::new(Timestamp::from_millis(2_000).unwrap());
        let options = ValidatorOptions {
            future_tolerance: Duration::ZERO,
            earliest: Timestamp::from_millis(500).unwrap(),
        };
        let mut analysis = valid();
        change(&mut analysis);
        let result = AnalysisValidator::new(options, Arc::new(clock)).validate_analysis(&analysis);
        result.violations.into_iter().map(|violation| (violation.field, violation.rule)).collect()
    }

    #[test]
    fn valid_analysis_passes() {
        assert_eq!(violations(|_| {}), []);
    }

    #[test]
    fn each_violation_names_its_field() {
        let one = |field: &str, rule| vec![(field.to_owned(), rule)];
        assert_eq!(violations(|a| a.calculated_total_tokens += 1), one("calculated_total_tokens", "total"));
        assert_eq!(violations(|a| a.accuracy_ratio = 2.1), one("accuracy_ratio", "range"));
        assert_eq!(violations(|a| a.accuracy_ratio = -0.1), one("accuracy_ratio", "range"));
        assert_eq!(violations(|a| a.undercount_percentage = 101.0), one("undercount_percentage", "range"));
        assert_eq!(violations(|a| a.memory_usage_mb = -1.0), one("memory_usage_mb", "range"));
        assert_eq!(violations(|a| a.analysis_version.clear()), one("analysis_version", "length"));
        assert_eq!(violations(|a| a.timestamp = Timestamp::MAX), one("timestamp", "time_range"));
        assert_eq!(
            violations(|a| a.responses[0].time = Timestamp::MIN),
            one("responses[0].time", "time_range")
        );
        assert_eq!(violations(|a| a.responses[0].time = Timestamp::MAX), []);
        assert_eq!(violations(|a| a.responses[0].counts.input = 0), one("responses", "response_sum"));
        let other = SessionId::new("t").unwrap();
        assert_eq!(violations(|a| a.responses[0].session = other), one("responses[0].session", "session"));
        assert!(
            violations(|a| a.responses.push(a.responses[0].clone()))
                .contains(&("responses[1].key".into(), "unique"))
        );
        let marker = |a: &mut EnhancedTokenAnalysis| a.responses[0].origin = crate::Origin::Covered;
        assert_eq!(violations(marker), one("responses[0].origin", "origin"));
        assert!(violations(|a| a.accuracy_ratio = f64::NAN).contains(&("accuracy_ratio".into(), "number")));
    }

    #[test]
    fn all_violations_are_reported() {
        let found = violations(|a| {
            a.reported_input_tokens = u64::MAX;
            a.accuracy_ratio = 3.0;
            a.analysis_version.clear();
        });
        let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "accuracy_ratio",
                "analysis_version",
                "calculated_total_tokens",
                "reported_input_tokens",
                "responses"
            ]
        );
    }

    #[test]
    fn counter_over_the_maximum_is_a_violation() {
        let set = |count| {
            move |a: &mut EnhancedTokenAnalysis| {
                a.responses[0].counts.input = count;
                a.reported_input_tokens = count;
                a.calculated_total_tokens = a.reported().checked_total().unwrap_or(u64::MAX);
            }
        };
        assert_eq!(violations(set(COUNTER_MAX)), []);
        for count in [COUNTER_MAX + 1, u64::MAX - 9, u64::MAX] {
            let found = violations(set(count));
            assert!(found.contains(&("reported_input_tokens".to_owned(), "counter_range")), "{found:?}");
            assert!(found.contains(&("responses[0].counts.input".to_owned(), "counter_range")), "{found:?}");
            let sums = violations(|a| {
                set(count)(a);
                a.responses.clear();
            });
            assert!(sums.contains(&("reported_input_tokens".to_owned(), "counter_range")), "{sums:?}");
        }
    }

    /// A row at the maximum keeps its place in the order of versions.
    #[test]
    fn maximum_counters_fit_a_version() {
        let version = |output, input| {
            let mut row = valid().responses.remove(0);
            let rest = COUNTER_MAX;
            row.counts = TokenCounts { input, output, cache_creation: rest, cache_read: rest };
            row.version()
        };
        assert!(version(COUNTER_MAX, COUNTER_MAX) > version(COUNTER_MAX, COUNTER_MAX - 1));
        assert!(version(COUNTER_MAX, 0) > version(COUNTER_MAX - 1, COUNTER_MAX));
    }

    #[test]
    fn blank_ids_and_excess_cache_splits_are_violations() {
        let one = |field: &str, rule| vec![(field.to_owned(), rule)];
        for blank in [" ", "\t\n", "\u{2003}"] {
            let id = AnalysisId::new(blank).unwrap();
            assert_eq!(violations(|a| a.analysis_id = id), one("analysis_id", "blank"));
            let session = SessionId::new(blank).unwrap();
            let found = violations(|a| {
                a.responses[0].session = session.clone();
                a.session_id = session;
            });
            assert_eq!(found, one("session_id", "blank"));
        }
        let split = |short, long| {
            violations(|a| {
                (a.responses[0].cache_creation_5m, a.responses[0].cache_creation_1h) = (short, long)
            })
        };
        assert_eq!((split(3, 0), split(1, 2), split(0, 0)), (vec![], vec![], vec![]));
        for (short, long) in [(4, 0), (2, 2), (u64::MAX, u64::MAX)] {
            assert_eq!(split(short, long), one("responses[0].cache_creation", "cache_split"));
        }
    }

    #[test]
    fn times_of_an_unset_clock_are_violations() {
        let at = |time: &str| {
            let mut analysis = valid();
            analysis.timestamp = time.parse().unwrap();
            analysis.responses[0].time = analysis.timestamp;
            let fields = AnalysisValidator::default().validate_analysis(&analysis).violations;
            fields.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
        };
        for time in ["1970-01-01T00:00:00Z", "1970-01-01T23:59:59.999Z"] {
            assert_eq!(at(time), ["responses[0].time", "timestamp"], "{time}");
        }
        assert!(at("1970-01-02T00:00:00Z").is_empty());
    }

    #[test]
    fn transcripts_are_checked_for_sums_only() {
        let mut analysis = valid();
        analysis.session_id = SessionId::new(" ").unwrap();
        let response = &mut analysis.responses[0];
        response.session = analysis.session_id.clone();
        response.time = Timestamp::MIN;
        response.cache_creation_5m = 100;
        let validator = AnalysisValidator::default();
        assert!(validator.validate_transcripts(&analysis).is_valid());
        assert_eq!(validator.validate_analysis(&analysis).violations.len(), 4);
        analysis.reported_input_tokens += 1;
        assert_eq!(validator.validate_transcripts(&analysis).violations.len(), 2);
    }
}
