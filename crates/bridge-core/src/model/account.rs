//! Numbers of AWS accounts in names.

const ACCOUNT_DIGITS: usize = 12;
/// A colon, as it is and as addresses encode it.
const SEPARATORS: [&str; 2] = [":", "%3a"];

/// Returns the name without the numbers of accounts in its ARN, or `None` if it has none.
pub(super) fn removed(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let arn = SEPARATORS.iter().filter_map(|separator| lower.find(&format!("arn{separator}"))).min()?;
    let (mut kept, mut rest) = (name[..arn].to_owned(), &name[arn..]);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let length = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, digits, after) = (&rest[..start], &rest[start..start + length], &rest[start + length..]);
        kept.push_str(before);
        if !(length == ACCOUNT_DIGITS && ends_field(&kept) && begins_field(after)) {
            kept.push_str(digits);
        }
        rest = after;
    }
    kept.push_str(rest);
    (kept.len() < name.len()).then_some(kept)
}

fn ends_field(kept: &str) -> bool {
    SEPARATORS.iter().any(|separator| {
        let end = kept.len().checked_sub(separator.len()).and_then(|start| kept.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(separator))
    })
}

fn begins_field(after: &str) -> bool {
    let begins = |separator: &&str| {
        after.get(..separator.len()).is_some_and(|start| start.eq_ignore_ascii_case(separator))
    };
    after.is_empty() || after.starts_with('/') || SEPARATORS.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::removed;

    #[test]
    fn no_form_of_an_arn_keeps_its_account() {
        for (name, expected) in [
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x",
                "arn:aws:bedrock:us-east-1::inference-profile/x",
            ),
            ("bedrock/ARN:aws-us-gov:bedrock:r:123456789012:x/y", "bedrock/ARN:aws-us-gov:bedrock:r::x/y"),
            ("arn%3Aaws%3abedrock%3Ar%3A123456789012%3Ax%2Fy", "arn%3Aaws%3abedrock%3Ar%3A%3Ax%2Fy"),
            ("arn:aws:bedrock:r:123456789012", "arn:aws:bedrock:r:"),
        ] {
            assert_eq!(removed(name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_account_numbers_are_removed() {
        for name in [
            "claude-sonnet-4-20250514",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
            "model:123456789012:x",
            "arn:aws:bedrock:r:1234567890123:x",
        ] {
            assert_eq!(removed(name), None);
        }
    }
}
