//! A chart for each suite: how its cases compare with their baselines, and what they are to reach.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use kuva::{
    plot::BarPlot,
    render::{layout::Layout, plots::Plot},
};

use crate::{
    harness::{Comparison, Target},
    report::Figures,
};

const MEASURED: &str = "steelblue";
const TARGET: &str = "lightgray";

/// Draws the charts into a folder named like the page beside it. Returns their paths from the page, by suite.
pub(super) fn write(figures: &Figures, page: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let folder = page.with_extension("");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let name = folder.file_name().context("the page has no name")?.to_string_lossy();
    let mut suites: BTreeMap<&str, Vec<&Comparison>> = BTreeMap::new();
    for comparison in &figures.comparisons {
        suites.entry(&comparison.suite).or_default().push(comparison);
    }
    let mut charts = BTreeMap::new();
    for (suite, comparisons) in suites {
        let Some(svg) = draw(suite, &comparisons) else { continue };
        let file = folder.join(suite).with_extension("svg");
        fs::write(&file, svg).with_context(|| format!("can't write {}", file.display()))?;
        charts.insert(suite.to_owned(), format!("{name}/{suite}.svg"));
    }
    Ok(charts)
}

/// What the bars of a chart show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    Times,
    Share,
}

impl Scale {
    fn of(case: &Comparison) -> Self {
        match case.target {
            Some(Target::Share(_)) => Self::Share,
            _ => Self::Times,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Times => "times the baseline: less is better",
            Self::Share => "% of the baseline's speed: more is better",
        }
    }
}

/// `None` when there is nothing to compare with. Cases on another scale than the first are left to the table.
fn draw(suite: &str, comparisons: &[&Comparison]) -> Option<String> {
    let compared: Vec<_> = comparisons.iter().filter(|case| case.baseline.is_some()).collect();
    let scale = Scale::of(compared.first()?);
    let mut plot = BarPlot::new().with_horizontal(true);
    let mut errors = Vec::new();
    // The first one is drawn at the bottom.
    for case in compared.into_iter().rev().filter(|case| Scale::of(case) == scale) {
        let baseline = case.baseline.as_ref()?;
        let figure = match scale {
            Scale::Times => baseline.ratio,
            Scale::Share => baseline.ratio.inverse().scaled(100.0),
        };
        let target = match case.target {
            Some(Target::Times(most)) => most,
            Some(Target::Share(least)) => 100.0 * least,
            Some(Target::AtMost(most)) => most / baseline.figure.median,
            None => 0.0,
        };
        plot = plot.with_group(case.case.as_str(), [(target, TARGET), (figure.median, MEASURED)]);
        errors.extend([(0.0, 0.0), (figure.median - figure.low, figure.high - figure.median)]);
    }
    let height = 120.0 + 36.0 * f64::from(u32::try_from(plot.groups.len()).ok()?);
    let plot = plot
        .with_legend(vec!["target", "measured"])
        .with_asymmetric_error(errors);
    let plots = vec![Plot::Bar(plot)];
    let layout = Layout::auto_from_plots(&plots)
        .with_title(suite)
        .with_x_label(scale.label())
        .with_width(900.0)
        .with_height(height);
    Some(kuva::render_to_svg(plots, layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Bench, Case, Unit};

    #[test]
    fn a_chart_names_its_cases_and_leaves_out_what_has_no_baseline() {
        let mut bench = Bench::new(false);
        bench.begin("suite", "");
        for (name, target) in [("inserts", Target::Times(1.4)), ("merges", Target::Share(0.5))] {
            let case = Case::new(name, Unit::Time, "raw").target(target);
            bench.record(case, &[(3.0, 2.0), (2.0, 2.0)]);
        }
        bench.record_alone("alone", Unit::Bytes, None, &[1.0]);
        let comparisons = bench.into_comparisons();
        let all: Vec<_> = comparisons.iter().collect();
        let svg = draw("suite", &all).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.contains("inserts") && svg.contains("less is better"),
            "{svg}"
        );
        assert!(!svg.contains("merges") && !svg.contains("alone"), "{svg}");
        assert!(draw("suite", &all[1..]).unwrap().contains("more is better"));
        assert!(draw("suite", &all[2..]).is_none());
    }
}
