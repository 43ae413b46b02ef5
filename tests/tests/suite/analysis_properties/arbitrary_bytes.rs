//! The analyzer never panics on arbitrary bytes, and agrees with the reference model on them.

use bridge_analysis::AnalyzerOptions;
use proptest::prelude::*;

use super::comparison::assert_agreement;
use super::strategy::{Transcript, bytes, cases, write_corpus};

fn options() -> impl Strategy<Value = AnalyzerOptions> {
    let line_bytes_max = prop_oneof![2 => 0..40_usize, 2 => 40..2000_usize, 3 => Just(64 << 20)];
    (any::<bool>(), any::<bool>(), line_bytes_max).prop_map(|(strict, categories, line_bytes_max)| {
        let mut options = AnalyzerOptions::default();
        options.strict = strict;
        options.categories = categories;
        options.line_bytes_max = line_bytes_max;
        options
    })
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn arbitrary_bytes_match_the_reference(content in bytes(), options in options()) {
        let corpus = write_corpus(&[Transcript::new("agent-f.jsonl", 7, content.0)]);
        assert_agreement(&corpus, &options);
    }
}
