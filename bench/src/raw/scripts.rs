//! Scripts that do what a replica does.

use grove_crdt::Change;
use rusqlite::Connection;

use crate::{
    database::SqliteFile,
    documents::PAGE,
    raw::{
        Script,
        table::{TABLES, Table},
    },
};

/// Creates the tables that a replica's file has, empty, in another one.
pub(crate) fn creates(from: &Connection, to: &Connection) -> anyhow::Result<()> {
    let mut schema = from.prepare("SELECT sql FROM sqlite_master WHERE tbl_name IN (?1, ?2) AND sql IS NOT NULL")?;
    let statements = schema.query_map(TABLES, |row| row.get::<_, String>(0))?;
    for statement in statements {
        to.execute_batch(&statement?)?;
    }
    Ok(())
}

/// Inserts the documents that a replica has got by these pages, and their shadow.
pub(crate) fn inserts(file: &SqliteFile, pages: &[Vec<Change>]) -> anyhow::Result<Script> {
    let connection = file.open_raw()?;
    let [documents, shadow] = tables(&connection)?;
    let mut script = Script::new([documents.insert(), shadow.insert()]);
    for page in pages {
        script.begin_page();
        for (statement, table) in [&documents, &shadow].into_iter().enumerate() {
            for change in page {
                for row in table.of(&change.pk) {
                    script.call(statement, row.clone());
                }
            }
        }
    }
    Ok(script)
}

/// Writes the titles and the shadow that these pages have changed, one title and one cell at most for each change; of a change that
/// wrote nothing, the document's shadow is read.
pub(crate) fn updates(before: &SqliteFile, after: &SqliteFile, pages: &[Vec<Change>]) -> anyhow::Result<Script> {
    let [_, shadow_before] = tables(&before.open_raw()?)?;
    let connection = after.open_raw()?;
    let [documents, shadow] = tables(&connection)?;
    let title = documents.columns.iter().position(|column| column == "title");
    let mut script = Script::new([
        "UPDATE documents SET title = ?1 WHERE id = ?2".to_owned(),
        shadow.upsert(),
        read_of(&shadow),
    ]);
    for page in pages {
        script.begin_page();
        let is_changed = |key: &str| shadow.of(key).iter().any(|row| !shadow_before.of(key).contains(row));
        let (winners, losers): (Vec<_>, Vec<_>) = page.iter().partition(|change| is_changed(&change.pk));
        for change in &winners {
            for row in documents.of(&change.pk) {
                let title = title.and_then(|title| row.get(title)).cloned();
                script.call(0, title.into_iter().chain([change.pk.clone().into()]).collect());
            }
        }
        for change in &winners {
            let known = shadow_before.of(&change.pk);
            for row in shadow.of(&change.pk).iter().filter(|row| !known.contains(row)) {
                script.call(1, row.clone());
            }
        }
        for change in losers {
            script.call(2, vec![change.pk.clone().into()]);
        }
    }
    Ok(script)
}

/// Reads the shadow of the documents of these pages.
pub(crate) fn reads(file: &SqliteFile, pages: &[Vec<Change>]) -> anyhow::Result<Script> {
    let [_, shadow] = tables(&file.open_raw()?)?;
    let mut script = Script::new([read_of(&shadow)]);
    for page in pages {
        script.begin_page();
        for change in page {
            script.call(0, vec![change.pk.clone().into()]);
        }
    }
    Ok(script)
}

/// Reads the newest rows of the shadow in commit order, by pages, so many in all.
pub(crate) fn extracts(file: &SqliteFile, rows: usize) -> anyhow::Result<Script> {
    let [_, shadow] = TABLES;
    let connection = file.open_raw()?;
    let mut versions = connection.prepare(&format!(
        "SELECT version, count(*) FROM {shadow} GROUP BY version ORDER BY version DESC"
    ))?;
    let mut script = Script::new([format!(
        "SELECT * FROM {shadow} WHERE version > ?1 ORDER BY version, pk, field, cell LIMIT {PAGE}"
    )]);
    let (mut starts, mut left) = (Vec::new(), i64::try_from(rows)?);
    let mut found = versions.query([])?;
    while let (Some(row), true) = (found.next()?, left > 0) {
        let version: i64 = row.get(0)?;
        starts.push(version - 1);
        left -= row.get::<_, i64>(1)?;
    }
    for start in starts.into_iter().rev() {
        script.begin_page();
        script.call(0, vec![start.into()]);
    }
    Ok(script)
}

fn read_of(shadow: &Table) -> String {
    format!("SELECT * FROM {} WHERE pk = ?1", shadow.name)
}

fn tables(connection: &Connection) -> anyhow::Result<[Table; 2]> {
    let [documents, shadow] = TABLES;
    Ok([Table::read(connection, documents)?, Table::read(connection, shadow)?])
}
