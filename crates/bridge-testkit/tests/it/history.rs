//! The reference and the generator agree, over many histories.

use bridge_testkit::{
    history::{Damage, GeneratedHistory, HistoryPlan, sample_plan},
    reference::{Options, ReferenceTotals, analyze, analyze_folder},
};
use std::{collections::BTreeSet, env, fs, path::PathBuf};

fn count(history: &GeneratedHistory) -> ReferenceTotals {
    analyze(history.reference_files(), Options::default())
}

fn assert_true(totals: &ReferenceTotals, history: &GeneratedHistory) {
    let truth = &history.truth;
    assert_eq!((totals.responses, totals.counters), (truth.responses, truth.counters));
    assert_eq!((totals.files, totals.bytes, totals.lines), (truth.files, truth.bytes, truth.lines));
    assert_eq!(
        (totals.bad_lines, totals.pending, totals.bad_usage, totals.oversize),
        (truth.bad_lines, truth.pending, truth.bad_usage, 0)
    );
    assert_eq!(
        (totals.naive, totals.nested_naive, totals.from_iterations, totals.raised),
        (truth.naive, truth.nested_naive, truth.from_iterations, truth.raised)
    );
    assert_eq!((totals.advisor_naive, totals.apart_naive()), (truth.advisor_naive, truth.apart_naive));
    assert!(totals.counters_are_certain());
    assert!(totals.open_sessions.is_subset(&truth.open_sessions));
    for (session, truth) in
        truth.sessions.iter().filter(|(session, _)| !truth.open_sessions.contains(*session))
    {
        let counted = totals.sessions[session];
        assert_eq!(
            (counted.responses, counted.unfinished, counted.counters),
            (truth.responses, truth.unfinished, truth.counters),
            "{session}"
        );
    }
}

#[test]
fn the_reference_counts_what_was_generated() {
    let mut every = ReferenceTotals::default();
    for seed in 0..120 {
        let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
        let totals = count(&history);
        assert_true(&totals, &history);
        every.bad_lines += totals.bad_lines;
        every.pending += totals.pending;
        every.bad_usage += totals.bad_usage;
        every.from_iterations += totals.from_iterations;
        every.raised += totals.raised;
        every.advisor_naive += totals.advisor_naive;
        every.compaction_naive += totals.compaction_naive;
        every.declined_naive += totals.declined_naive;
        every.other_naive += totals.other_naive;
        every.weak_snapshots += totals.weak_snapshots;
        every.total_nested_only += totals.total_nested_only;
        every.repeats_within_files += totals.repeats_within_files;
        every.copies_across_files += totals.copies_across_files;
        every.open_sessions.extend(totals.open_sessions);
    }
    // No trap is missing from all of them.
    for figure in [
        every.bad_lines,
        every.pending,
        every.bad_usage,
        every.from_iterations,
        every.raised,
        every.advisor_naive,
        every.compaction_naive,
        every.declined_naive,
        every.other_naive,
        every.weak_snapshots,
        every.total_nested_only,
        every.repeats_within_files,
        every.copies_across_files,
        every.open_sessions.len() as u64,
    ] {
        assert!(figure > 0);
    }
}

#[test]
fn a_plan_gives_the_same_bytes_and_another_seed_others() {
    let plan = HistoryPlan::default();
    assert_eq!(plan.generate().files, plan.generate().files);
    assert_ne!(plan.generate().files, HistoryPlan { seed: 2, ..plan }.generate().files);
}

#[test]
fn a_plan_without_damage_has_none() {
    for seed in 0..30 {
        let truth = HistoryPlan { seed, damage: Damage::None, ..HistoryPlan::default() }.generate().truth;
        assert_eq!((truth.bad_lines, truth.pending), (0, 0));
    }
}

#[test]
fn a_written_history_is_the_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let history = HistoryPlan::default().generate();
    history.write_below(folder.path()).unwrap();
    assert_eq!(analyze_folder(folder.path(), Options::default()).unwrap(), count(&history));
}

/// `UPDATE_SAMPLE=1 cargo test -p bridge-testkit --test it history::` writes the sample anew.
#[test]
fn the_committed_sample_is_the_generated_one() {
    let projects = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample/projects");
    let history = sample_plan().generate();
    assert_true(&count(&history), &history);
    if env::var_os("UPDATE_SAMPLE").is_some() {
        if projects.exists() {
            fs::remove_dir_all(&projects).unwrap();
        }
        history.write_below(&projects).unwrap();
    }
    let committed = bridge_testkit::reference::read_folder(&projects).unwrap();
    let committed: BTreeSet<_> = committed
        .iter()
        .map(|file| (file.path.to_str().unwrap().replace('\\', "/"), &file.content))
        .collect();
    let generated: BTreeSet<_> =
        history.files.iter().map(|file| (file.relative_path.clone(), &file.content)).collect();
    assert!(committed == generated, "set UPDATE_SAMPLE=1 to write the sample anew");
    assert!(history.truth.bytes <= 60_000);
}
