//! Suggestions for misspelled names.

/// Returns the most similar name, if one is similar.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|name| (distance(written, name), name));
    let limit = 1 + written.len() / 4;
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// Returns the Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    // A text of this length is not a misspelled key.
    let a: Vec<char> = a.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (line, b) in b.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (place, a) in a.iter().enumerate() {
            let replaced = diagonal + usize::from(*a != b);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let names = ["batch_size", "max_memory_mb", "strict"];
        assert_eq!(nearest("batchsize", names), Some("batch_size"));
        assert_eq!(nearest("max_memory", names), Some("max_memory_mb"));
        assert_eq!(nearest("color", names), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
