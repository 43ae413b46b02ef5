//! Numbers for people.

/// Formats a number with a comma after each three digits.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0, 999, 1000, 12_345, u64::MAX].map(number),
            ["0", "999", "1,000", "12,345", "18,446,744,073,709,551,615"]
        );
    }
}
