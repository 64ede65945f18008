//! The tables in a page of Markdown, each between two markers.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, ensure};

use crate::{harness::Comparison, report::Figures};

/// Ends what is written, be it of whichever suite.
const END: &str = "<!-- end -->";

/// Puts the table and the chart of each suite between its markers, `<!-- bench: write-1 -->` and `<!-- end -->`, and what was
/// measured on between those of `machine`. What is between the markers of other suites stays.
pub(super) fn write(figures: &Figures, charts: &BTreeMap<String, String>, file: &Path) -> anyhow::Result<()> {
    let mut page = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    page = put(&page, "machine", &format!("{}.\n", figures.machine))?;
    let mut suites: BTreeMap<&str, Vec<&Comparison>> = BTreeMap::new();
    for comparison in &figures.comparisons {
        suites.entry(&comparison.suite).or_default().push(comparison);
    }
    for (suite, comparisons) in suites {
        let mut text = table(&comparisons);
        if let Some(chart) = charts.get(suite) {
            // Writing to a String can't fail.
            let _ = writeln!(text, "\n![{suite}]({chart})");
        }
        page = put(&page, suite, &text)?;
    }
    fs::write(file, page).with_context(|| format!("can't write {}", file.display()))
}

fn table(comparisons: &[&Comparison]) -> String {
    let mut text = String::from("| case | grove-crdt | baseline | ratio | target | |\n|---|---|---|---|---|---|\n");
    for case in comparisons {
        let baseline = match &case.baseline {
            Some(baseline) => format!("{}: {}", baseline.name, case.show_baseline()),
            None => String::new(),
        };
        let verdict = match case.show_verdict() {
            "miss" => "**miss**",
            verdict => verdict,
        };
        let _ = writeln!(
            text,
            "| {} | {} | {baseline} | {} | {} | {verdict} |",
            case.case,
            case.show_ours(),
            case.show_ratio(),
            case.show_target()
        );
    }
    text
}

/// Replaces what stands between the markers of this name.
fn put(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- bench: {name} -->");
    let (before, rest) = page
        .split_once(&begin)
        .with_context(|| format!("the page has no marker `{begin}`"))?;
    let (replaced, after) = rest
        .split_once(END)
        .with_context(|| format!("`{begin}` is not followed by `{END}`"))?;
    ensure!(
        !replaced.contains("<!-- bench:"),
        "another marker comes between `{begin}` and `{END}`"
    );
    Ok(format!("{before}{begin}\n{text}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_markers_is_replaced_and_nothing_else() {
        let page = "a\n<!-- bench: one -->\nold\n<!-- end -->\nb\n<!-- bench: two -->\n<!-- end -->\n";
        let new = put(page, "one", "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(put(&new, "one", "new\n").unwrap(), new);
    }

    #[test]
    fn a_page_without_the_markers_is_refused() {
        let page = "<!-- bench: one -->\n<!-- bench: two -->\n<!-- end -->\n";
        for name in ["one", "three"] {
            let error = put(page, name, "new\n").unwrap_err().to_string();
            assert!(error.contains("marker") && error.contains(name), "{error}");
        }
    }
}
