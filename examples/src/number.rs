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

/// Formats a number and the noun's form for it.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{counted, number};

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0, 999, 1000, 12_345, u64::MAX].map(number),
            ["0", "999", "1,000", "12,345", "18,446,744,073,709,551,615"]
        );
    }

    #[test]
    fn one_has_the_singular() {
        let text = |count| counted(count, "token has", "tokens have");
        assert_eq!([0, 1, 2000].map(text), ["0 tokens have", "1 token has", "2,000 tokens have"]);
    }
}
