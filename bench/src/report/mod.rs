//! What becomes of the figures: a file of JSON, tables in `docs/performance.md`, charts beside it.

mod charts;
mod figures;
mod machine;
mod page;

use std::path::Path;

use anyhow::ensure;

pub(crate) use figures::Figures;

/// Writes the tables of a page, and the charts that it shows.
pub(crate) fn write(figures: &Path, page: &Path) -> anyhow::Result<()> {
    let figures = Figures::read(figures)?;
    ensure!(
        figures.built.measures(),
        "these figures are of a debug build or a quick run, and say nothing about speed"
    );
    let charts = charts::write(&figures, page)?;
    page::write(&figures, &charts, page)
}
