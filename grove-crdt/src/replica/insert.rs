//! The rows an insert may bring, or change on conflict.

use sea_orm::{DatabaseTransaction, DbBackend, Value};
use sqlparser::ast::{self, Expr};

use crate::{
    entity::{Registry, Row},
    error::Error,
    replica::{
        count::Count,
        foreign_keys::{Cascade, Parents},
        fragment::Fragments,
        given::{Given, Rows},
        made_keys::MadeKeys,
        selection::assigned_columns,
        statement::{Write, refusal},
        watch::Watch,
    },
    store::{catalog::Catalog, chunks, query_text, row},
};

/// Watches the rows under the keys that are inserted, and those that a conflict makes it update instead.
pub(super) async fn before(
    tx: &DatabaseTransaction,
    registry: &Registry,
    catalog: &Catalog,
    write: &Write<'_>,
    insert: &ast::Insert,
    watch: &mut Watch,
) -> Result<(), Error> {
    check(insert, write.table())?;
    let Some(table) = registry.get(write.table()) else {
        // A table that is not replicated: only what its upsert changes can reach one that is.
        return refuse_upsert_of_parent(write, insert, catalog);
    };
    let rows = Rows::new(tx, table, catalog, write, insert);
    let names: Vec<_> = table.key_columns().map(|column| column.name.clone()).collect();
    let given = rows.of(&names).await?;
    let conflicts = conflicts(&rows, catalog, &names)?;
    let Some(keys) = given.as_ref().and_then(|keys| all_given(keys)) else {
        watch.made_keys = Some(MadeKeys::new(&rows, given.as_deref())?);
        return Ok(());
    };
    let mut watched = 0;
    if rows.may_exist() {
        let mut existing: Vec<_> = row::read(tx, table, &keys).await?.into_values().collect();
        for columns in conflicts {
            existing.extend(rows_in_conflict(&rows, catalog, &columns).await?);
        }
        let fresh = watch.rows(table, existing)?;
        watched = fresh.len();
        let assigned = upsert_assignments(insert).map(changed_columns).unwrap_or_default();
        if !assigned.is_empty() && !fresh.is_empty() {
            let cascade = Cascade { tx, registry, catalog };
            cascade
                .of_update(&Parents::Keyed(table, &fresh), &assigned, watch, 0)
                .await?;
        }
    }
    watch.count = Count::of_insert(&rows, upsert_assignments(insert).is_some(), keys.len(), watched);
    watch.in_order = rows.count().is_some();
    watch.foretold = rows.foretold(catalog);
    watch.keys(table, keys);
    Ok(())
}

/// The keys, when no row leaves its own to the database.
fn all_given(keys: &[Vec<Given>]) -> Option<Vec<Vec<Value>>> {
    let key = |key: &Vec<Given>| key.iter().cloned().map(Given::into_value).collect();
    keys.iter().map(key).collect()
}

fn check(insert: &ast::Insert, table: &str) -> Result<(), Error> {
    use ast::SqliteOnConflict::{Fail, Replace, Rollback};
    if insert.replace_into || matches!(insert.or, Some(Replace | Fail | Rollback)) {
        return Err(refusal(
            format!("`REPLACE` or `INSERT OR …` into `{table}`, which may delete other rows,"),
            "use `on_conflict` with what is to be updated",
        ));
    }
    if insert.overriding == Some(ast::InsertOverriding::User) {
        return Err(refusal(
            format!("an insert into `{table}` that overrides its own keys"),
            "leave the keys out, and let it return them",
        ));
    }
    Ok(())
}

/// What an insert assigns to the rows that are there already.
pub(super) fn upsert_assignments(insert: &ast::Insert) -> Option<&[ast::Assignment]> {
    match &insert.on {
        Some(ast::OnInsert::OnConflict(conflict)) => match &conflict.action {
            ast::OnConflictAction::DoUpdate(update) => Some(&update.assignments),
            ast::OnConflictAction::DoNothing => None,
        },
        Some(ast::OnInsert::DuplicateKeyUpdate(assignments)) => Some(assignments),
        _ => None,
    }
}

/// The columns that assignments write, but for those that are given their own values: so SeaORM says on MySQL that nothing is
/// to be done.
fn changed_columns(assignments: &[ast::Assignment]) -> Vec<String> {
    let changes = assignments.iter().filter(|assignment| !is_of_itself(assignment));
    changes
        .flat_map(|assignment| assigned_columns(std::slice::from_ref(assignment)))
        .collect()
}

fn is_of_itself(assignment: &ast::Assignment) -> bool {
    let value = match &assignment.value {
        Expr::Identifier(name) => name,
        // The table's own name; `excluded` is that of the new row.
        Expr::CompoundIdentifier(names) => match (names.as_slice(), &assignment.target) {
            ([of, name], ast::AssignmentTarget::ColumnName(target))
                if target.0.len() == 2 && target.0[0].as_ident().is_some_and(|owner| owner.value == of.value) =>
            {
                name
            }
            _ => return false,
        },
        _ => return false,
    };
    let target = assigned_columns(std::slice::from_ref(assignment));
    matches!(target.as_slice(), [column] if column.eq_ignore_ascii_case(&value.value))
}

fn refuse_upsert_of_parent(write: &Write<'_>, insert: &ast::Insert, catalog: &Catalog) -> Result<(), Error> {
    let table = write.table();
    let assigned = upsert_assignments(insert).map(changed_columns).unwrap_or_default();
    let is_assigned = |column: &String| assigned.iter().any(|a| a.eq_ignore_ascii_case(column));
    if catalog
        .children_of(table)
        .any(|key| key.parent_columns.iter().any(is_assigned))
    {
        return Err(refusal(
            format!("an upsert of `{table}` that changes a key which replicated rows refer to"),
            "update the row by a statement of its own",
        ));
    }
    Ok(())
}

/// The lists of columns whose conflict leads to an update of another row than the one with the inserted key.
fn conflicts(rows: &Rows<'_>, catalog: &Catalog, key: &[String]) -> Result<Vec<Vec<String>>, Error> {
    let Some(assignments) = upsert_assignments(rows.insert) else {
        return Ok(Vec::new());
    };
    let table = &rows.table.name;
    let assigned = changed_columns(assignments);
    if key
        .iter()
        .any(|column| assigned.iter().any(|a| a.eq_ignore_ascii_case(column)))
    {
        return Err(refusal(
            format!("an upsert of `{table}` that changes the key"),
            "delete the row and insert another",
        ));
    }
    let conflict = match &rows.insert.on {
        // It acts on a conflict of whichever unique index.
        Some(ast::OnInsert::DuplicateKeyUpdate(_)) if assigned.is_empty() => return Ok(Vec::new()),
        Some(ast::OnInsert::DuplicateKeyUpdate(_)) => return any_unique_key(catalog, table, key),
        Some(ast::OnInsert::OnConflict(conflict)) => conflict,
        _ => return Ok(Vec::new()),
    };
    let Some(ast::ConflictTarget::Columns { columns, .. }) = &conflict.conflict_target else {
        return Err(refusal(
            format!("an upsert of `{table}` that does not name the columns in conflict"),
            "name them: `ON CONFLICT (column) DO UPDATE …`",
        ));
    };
    let columns: Vec<_> = columns.iter().map(|column| column_name(rows, column)).collect();
    Ok(if is_same(&columns, key) {
        Vec::new()
    } else {
        vec![columns]
    })
}

/// Whether two lists name the same columns.
fn is_same(columns: &[String], key: &[String]) -> bool {
    let is_in_key = |column: &String| key.iter().any(|part| part.eq_ignore_ascii_case(column));
    columns.len() == key.len() && columns.iter().all(is_in_key)
}

/// The columns of each unique key but the primary key.
fn any_unique_key(catalog: &Catalog, table: &str, primary: &[String]) -> Result<Vec<Vec<String>>, Error> {
    let others = catalog
        .unique_keys(table)
        .filter(|unique| !is_same(&unique.columns, primary));
    let columns = others.map(|unique| {
        if unique.exact {
            return Ok(unique.columns.clone());
        }
        Err(refusal(
            format!(
                "an `ON DUPLICATE KEY UPDATE` of `{table}`, whose unique index `{}` compares more or less than whole columns,",
                unique.name
            ),
            "read the row, and insert or update it",
        ))
    });
    columns.collect()
}

/// A column's name as the table has it.
fn column_name(rows: &Rows<'_>, name: &ast::Ident) -> String {
    let known = rows.table.columns.iter().map(|column| &column.name);
    match (rows.backend(), name.quote_style) {
        (DbBackend::Postgres, Some(_)) => name.value.clone(),
        (DbBackend::Postgres, None) => name.value.to_lowercase(),
        _ => known
            .into_iter()
            .find(|column| column.eq_ignore_ascii_case(&name.value))
            .unwrap_or(&name.value)
            .clone(),
    }
}

/// The rows that are there with what is inserted into `conflict`.
async fn rows_in_conflict(rows: &Rows<'_>, catalog: &Catalog, conflict: &[String]) -> Result<Vec<Row>, Error> {
    let table = rows.table;
    let given = match (rows.of(conflict).await?, rows.backend()) {
        (Some(given), _) => given,
        (None, DbBackend::MySql) => left_to_defaults(rows, conflict).await?,
        (None, _) => return Err(over_default(&table.name)),
    };
    let has_default = given.iter().flatten().any(|value| *value == Given::Default);
    let is_computed = || conflict.iter().any(|column| catalog.is_generated(&table.name, column));
    if has_default && (rows.backend() != DbBackend::MySql || is_computed()) {
        return Err(over_default(&table.name));
    }
    // A null is in conflict with nothing.
    let values: Vec<_> = given
        .into_iter()
        .filter(|tuple| !tuple.contains(&Given::Null))
        .collect();
    let mut found = Vec::new();
    for chunk in chunks(&values, conflict.len()) {
        let mut fragments = Fragments::new(rows.backend());
        let text = conflict_text(rows, conflict, chunk, &mut fragments);
        let (sql, values) = fragments.finish(&text);
        for row in query_text(rows.tx, sql, values).await? {
            found.push(table.decode(&row)?);
        }
    }
    Ok(found)
}

fn over_default(table: &str) -> Error {
    refusal(
        format!("an upsert of `{table}` that leaves a column in conflict to its default"),
        "give its value",
    )
}

/// What the rows give to `columns`, of which they leave some to the database.
async fn left_to_defaults(rows: &Rows<'_>, columns: &[String]) -> Result<Vec<Vec<Given>>, Error> {
    let mut given: Vec<Vec<Given>> = Vec::new();
    for column in columns {
        let of_column = rows.of(std::slice::from_ref(column)).await?.map(|rows| rows.concat());
        let count = of_column.as_ref().map(Vec::len).or(rows.count());
        given.push(match (of_column, count) {
            (Some(values), _) => values,
            (None, Some(count)) => vec![Given::Default; count],
            // All the rows of a query have the same default; one stands for them when no other column tells them apart.
            (None, None) => vec![Given::Default],
        });
    }
    let count = given.iter().map(Vec::len).max().unwrap_or_default();
    let tuple = |n: usize| {
        given
            .iter()
            .map(|of| of.get(n).or(of.first()).cloned().unwrap_or(Given::Null))
            .collect()
    };
    Ok((0..count).map(tuple).collect())
}

fn conflict_text(rows: &Rows<'_>, conflict: &[String], values: &[Vec<Given>], fragments: &mut Fragments<'_>) -> String {
    let name = fragments.quoted(&rows.table.name);
    let tuples = values.iter().map(|tuple| {
        let texts = tuple.iter().zip(conflict).map(|(given, column)| match given {
            Given::Value(value) => fragments.bind(value.clone()),
            Given::Null => "NULL".to_owned(),
            Given::Default => format!("DEFAULT({})", fragments.columns(&name, std::slice::from_ref(column))),
        });
        texts.collect::<Vec<_>>()
    });
    let tuples: Vec<_> = tuples.collect();
    let condition = fragments.among_texts(&name, conflict, &tuples);
    let key: Vec<_> = rows.table.key_columns().map(|column| column.name.clone()).collect();
    let select = rows.backend().build(&rows.table.select()).sql;
    let (order, lock) = (fragments.in_order_of(&name, &key), fragments.for_update());
    format!("{select} WHERE {condition}{order}{lock}")
}
