use std::hint::black_box;

use rusqlite::{Connection, params_from_iter, types::Value};

use crate::{harness::Timer, raw::table::values};

/// Statements and what they are run with, page by page, each page a transaction.
#[derive(Debug)]
pub(crate) struct Script {
    statements: Vec<String>,
    pages: Vec<Vec<Call>>,
}

/// One run of a statement.
#[derive(Debug)]
struct Call {
    statement: usize,
    values: Vec<Value>,
}

impl Script {
    pub(super) fn new(statements: impl Into<Vec<String>>) -> Self {
        Self {
            statements: statements.into(),
            pages: Vec::new(),
        }
    }

    pub(super) fn begin_page(&mut self) {
        self.pages.push(Vec::new());
    }

    /// Adds a run of one of the statements to the page that was begun last.
    pub(super) fn call(&mut self, statement: usize, values: Vec<Value>) {
        if let Some(page) = self.pages.last_mut() {
            page.push(Call { statement, values });
        }
    }

    /// Runs everything, and returns the seconds it took. Each row that a statement gives is read.
    pub(crate) fn run(&self, connection: &Connection) -> anyhow::Result<f64> {
        let timer = Timer::start();
        let prepare = |sql: &String| connection.prepare(sql);
        let mut statements = self.statements.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        for page in &self.pages {
            let tx = connection.unchecked_transaction()?;
            for call in page {
                let mut rows = statements[call.statement].query(params_from_iter(&call.values))?;
                while let Some(row) = rows.next()? {
                    black_box(values(row)?);
                }
            }
            tx.commit()?;
        }
        Ok(timer.seconds())
    }
}
