//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{
    Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _},
};

use crate::{
    harness::Bench,
    report::{self, Figures},
    suites::{Role, Suite},
};

/// Measures grove-crdt beside the raw database. Build with `--release`.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Command {
    /// What to measure
    #[arg(required = true, value_name = "SUITE", value_parser = suites())]
    suites: Vec<Choice>,
    /// Small sizes and one round: shows that everything works, and measures nothing
    #[arg(long)]
    quick: bool,
    /// Keeps the figures in this file; those of other suites that it holds stay
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    other: Option<Other>,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
enum Other {
    /// Writes the tables of a page, and the charts beside it
    Report {
        /// The figures
        #[arg(long, value_name = "FILE")]
        json: PathBuf,
        /// The page; its charts go to a folder of the same name
        #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
        page: PathBuf,
    },
    /// Plays one side of a sync, for the suite that looks at memory
    #[command(hide = true)]
    Role {
        #[command(subcommand)]
        role: Role,
    },
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    All,
    One(Suite),
}

fn suites() -> impl clap::builder::TypedValueParser<Value = Choice> {
    let all = PossibleValue::new("all").help("every suite");
    let each = Suite::ALL.map(|suite| PossibleValue::new(suite.name()).help(suite.about()));
    let names = PossibleValuesParser::new(std::iter::once(all).chain(each));
    names.map(|name| Suite::by_name(&name).map_or(Choice::All, Choice::One))
}

impl Command {
    /// Runs the suites, one after another. One that fails keeps no other from running.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(other) = self.other {
            match other {
                Other::Report { json, page } => report::write(&json, &page)?,
                Other::Role { role } => role.play().await?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut bench = Bench::new(self.quick);
        let mut code = ExitCode::SUCCESS;
        for suite in self.chosen() {
            if let Err(error) = suite.run(&mut bench).await {
                eprintln!("{} failed: {error:#}", suite.name());
                code = ExitCode::FAILURE;
            }
        }
        if let Some(file) = self.json {
            Figures::of(bench).write(&file)?;
        }
        Ok(code)
    }

    /// The suites asked for, each once, in their order.
    fn chosen(&self) -> Vec<Suite> {
        let is_chosen = |suite: &Suite| {
            self.suites.iter().any(|choice| match choice {
                Choice::All => true,
                Choice::One(chosen) => chosen == suite,
            })
        };
        Suite::ALL.into_iter().filter(is_chosen).collect()
    }
}
