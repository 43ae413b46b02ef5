//! Validation of analyses before they are stored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::{Clock, EnhancedTokenAnalysis, SystemClock, Timestamp, TokenCounts};

/// One rule that an analysis breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, by the specification's name; of a response with its place, `responses[3].time`.
    pub field: String,
    /// The rule's name, stable for programs.
    pub rule: &'static str,
    /// What is wrong, with the figures.
    pub message: String,
}

/// All violations of one analysis, sorted by field. Empty means valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ValidationResult {
    /// The violations.
    pub violations: Vec<Violation>,
}

impl ValidationResult {
    /// Whether nothing is violated.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for ValidationResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", violation.field, crate::Shown::text(&violation.message))?;
        }
        Ok(())
    }
}

/// What the validator accepts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ValidatorOptions {
    /// How far into the future the time of an analysis may lie (clocks differ). The times of responses stand
    /// in transcripts as some machine's clock told them: a wrong one is no reason not to count.
    pub future_tolerance: Duration,
    /// The earliest time that is taken for one.
    pub earliest: Timestamp,
}

impl Default for ValidatorOptions {
    fn default() -> Self {
        Self { future_tolerance: Duration::from_hours(24), earliest: Timestamp::MIN }
    }
}

/// Validator for enhanced token analyses. Reports every violation, not the first.
///
/// The rules are the specification's: the total is the sum of its components and of the responses', the
/// accuracy ratio lies in 0 to 2, the times lie in range, required fields are there, numbers are numbers.
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
    /// A validator with these options that takes the time from this clock.
    #[must_use]
    pub fn new(options: ValidatorOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
    }

    /// Checks an analysis against every rule.
    pub fn validate_analysis(&self, analysis: &EnhancedTokenAnalysis) -> ValidationResult {
        let form = AnalysisForm {
            accuracy_ratio: analysis.accuracy_ratio,
            undercount_percentage: analysis.undercount_percentage,
            memory_usage_mb: analysis.memory_usage_mb,
            analysis_version: &analysis.analysis_version,
            analysis,
        };
        let mut violations = match form.validate() {
            Ok(()) => Vec::new(),
            Err(errors) => flatten(&errors),
        };
        self.check_times(analysis, &mut violations);
        check_responses(analysis, &mut violations);
        violations.sort_by(|a, b| a.field.cmp(&b.field));
        ValidationResult { violations }
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

/// The fields that the derive's rules look at; the sums need two fields and stand below.
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
        if !seen.insert(response.key) {
            push(format!("responses[{index}].key"), "unique", format!("{} stands there twice", response.key));
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
        _ => "is no finite number".to_owned(),
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
    fn a_valid_analysis_passes() {
        assert_eq!(violations(|_| {}), []);
    }

    #[test]
    fn each_rule_is_reported_under_its_field() {
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
        assert!(violations(|a| a.accuracy_ratio = f64::NAN).contains(&("accuracy_ratio".into(), "number")));
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let found = violations(|a| {
            a.reported_input_tokens = u64::MAX;
            a.accuracy_ratio = 3.0;
            a.analysis_version.clear();
        });
        let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["accuracy_ratio", "analysis_version", "calculated_total_tokens", "responses"]);
    }
}
