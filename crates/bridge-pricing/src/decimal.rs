//! Decimal numbers as integers of their last digit.

/// The reason why a text is not a decimal number of a given form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalError {
    NotANumber,
    Negative,
    TooManyDigits,
    TooLarge,
}

/// Parses a number without an exponent, with at most `decimals` decimal places, in units of the last of them.
pub(crate) fn parse(text: &str, decimals: u32) -> Result<u64, DecimalError> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |positive| (true, positive));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if ![whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(DecimalError::NotANumber);
    }
    if negative {
        return Err(DecimalError::Negative);
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = decimals.checked_sub(u32::try_from(fraction.len()).unwrap_or(u32::MAX));
    let missing = missing.ok_or(DecimalError::TooManyDigits)?;
    let digits =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| DecimalError::TooLarge)? };
    let whole: u64 = whole.parse().map_err(|_| DecimalError::TooLarge)?;
    let sum = |scaled: u64| scaled.checked_add(digits * 10_u64.pow(missing));
    whole.checked_mul(10_u64.pow(decimals)).and_then(sum).ok_or(DecimalError::TooLarge)
}

/// Returns the number of these units without trailing zeros.
pub(crate) fn format(units: u128, decimals: u32) -> String {
    let scale = 10_u128.pow(decimals);
    let (whole, fraction) = (units / scale, units % scale);
    let text = format!("{whole}.{fraction:0width$}", width = decimals as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_rejected() {
        assert_eq!(parse("0.0375", 6), Ok(37_500));
        assert_eq!(parse("15", 6), Ok(15_000_000));
        assert_eq!(parse("1.1000", 3), Ok(1_100));
        assert_eq!(parse("0.0000001", 6), Err(DecimalError::TooManyDigits));
        assert_eq!(parse("-3", 6), Err(DecimalError::Negative));
        assert_eq!(parse("18446744073709551615", 6), Err(DecimalError::TooLarge));
        for text in ["", ".", "1.", ".5", "1e3", "+1", "1,5", "٣", "-", "--1", "1.2.3", " 1"] {
            assert_eq!(parse(text, 6), Err(DecimalError::NotANumber), "{text}");
        }
        assert_eq!(format(37_500, 6), "0.0375");
        assert_eq!(format(100_000_000, 6), "100");
        assert_eq!(format(0, 6), "0");
    }
}
