//! The rows an insert may bring, or change on conflict.

use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Value, sea_query::ArrayType};
use sqlparser::ast::{self, Expr, SetExpr};

use crate::{
    entity::{Registry, Table},
    error::Error,
    replica::{
        foreign_keys::{Cascade, Parents},
        fragment::{Fragments, placeholder, quoted},
        session::Answer,
        statement::{Write, calls_random, refusal},
        watch::{Watch, assigned_columns},
    },
    store::{catalog::Catalog, query_text, row},
};

/// Watches the rows under the keys that are inserted, and those that a conflict makes it update instead.
pub(super) async fn before(
    tx: &DatabaseTransaction,
    registry: &Registry,
    catalog: &Catalog,
    write: &Write,
    insert: &ast::Insert,
    watch: &mut Watch,
) -> Result<(), Error> {
    check(insert, write.table())?;
    let Some(table) = registry.get(write.table()) else {
        // A table that is not replicated: only what its upsert changes can reach one that is.
        return refuse_upsert_of_parent(insert, catalog, write.table());
    };
    let source = Source {
        tx,
        table,
        write,
        insert,
    };
    let columns = source.columns(catalog);
    let names: Vec<_> = table.key_columns().map(|column| column.name.clone()).collect();
    let tuples = source.values_of(&columns, &names).await?;
    // A null key, or none, is for the database to make.
    let keys: Option<Vec<Vec<_>>> =
        tuples.and_then(|tuples| tuples.into_iter().map(|tuple| tuple.into_iter().collect()).collect());
    let conflicts = source.conflict_columns(&names)?;
    let Some(keys) = keys else {
        if insert.on.is_some() || insert.or.is_some() {
            return Err(refusal(
                format!(
                    "an insert into `{}` with a conflict clause and without keys",
                    table.name
                ),
                "give the keys",
            ));
        }
        let single = matches!(source.row_count(), Some(1));
        watch.keys_in_answer = Some((table.clone(), single));
        return Ok(());
    };
    let may_exist = insert.on.is_some() || insert.or.is_some() || insert.ignore;
    if !may_exist {
        watch.all_new = Some(table.name.clone());
    }
    if may_exist {
        let mut existing: Vec<_> = row::read(tx, table, &keys).await?.into_values().collect();
        if let Some(columns_in_conflict) = conflicts {
            existing.extend(source.rows_in_conflict(&columns, &columns_in_conflict).await?);
        }
        let fresh = watch.rows(table, existing)?;
        let assigned = upsert_assignments(insert).map(assigned_columns).unwrap_or_default();
        if !assigned.is_empty() && !fresh.is_empty() {
            let cascade = Cascade { tx, registry, catalog };
            cascade
                .of_update(&Parents::Keyed(table, &fresh), &assigned, watch, 0)
                .await?;
        }
    }
    watch.keys(table, keys);
    Ok(())
}

fn check(insert: &ast::Insert, table: &str) -> Result<(), Error> {
    use ast::SqliteOnConflict::{Fail, Replace, Rollback};
    if insert.replace_into || matches!(insert.or, Some(Replace | Fail | Rollback)) {
        return Err(refusal(
            format!("`REPLACE` or `INSERT OR …` into `{table}`, which may delete other rows,"),
            "use `on_conflict` with what is to be updated",
        ));
    }
    Ok(())
}

fn upsert_assignments(insert: &ast::Insert) -> Option<&[ast::Assignment]> {
    match &insert.on {
        Some(ast::OnInsert::OnConflict(conflict)) => match &conflict.action {
            ast::OnConflictAction::DoUpdate(update) => Some(&update.assignments),
            ast::OnConflictAction::DoNothing => None,
        },
        Some(ast::OnInsert::DuplicateKeyUpdate(assignments)) => Some(assignments),
        _ => None,
    }
}

fn refuse_upsert_of_parent(insert: &ast::Insert, catalog: &Catalog, table: &str) -> Result<(), Error> {
    let assigned = upsert_assignments(insert).map(assigned_columns).unwrap_or_default();
    let acts = catalog
        .children_of(table)
        .any(|key| key.parent_columns.iter().any(|column| assigned.contains(column)));
    if acts {
        return Err(refusal(
            format!("an upsert of `{table}` that changes a key which replicated rows refer to"),
            "update the row by a statement of its own",
        ));
    }
    Ok(())
}

/// Where the inserted values come from.
struct Source<'a> {
    tx: &'a DatabaseTransaction,
    table: &'a Arc<Table>,
    write: &'a Write,
    insert: &'a ast::Insert,
}

impl Source<'_> {
    /// The names of the inserted columns.
    fn columns(&self, catalog: &Catalog) -> Vec<String> {
        if self.insert.columns.is_empty() {
            return catalog.insertable(&self.table.name);
        }
        let names = self.insert.columns.iter();
        names
            .filter_map(|name| Some(name.0.last()?.as_ident()?.value.clone()))
            .collect()
    }

    /// The values that each inserted row has in `names`, `None` for a null; `None` for all when some column is left to the
    /// database.
    async fn values_of(&self, columns: &[String], names: &[String]) -> Result<Option<Vec<Tuple>>, Error> {
        let Some(query) = &self.insert.source else {
            return Ok(None);
        };
        let places: Option<Vec<_>> = names
            .iter()
            .map(|name| columns.iter().position(|column| column.eq_ignore_ascii_case(name)))
            .collect();
        let Some(places) = places else { return Ok(None) };
        let SetExpr::Values(values) = query.body.as_ref() else {
            return self.selected(columns, names, query).await.map(Some);
        };
        let mut tuples = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let mut tuple = Vec::with_capacity(places.len());
            for place in &places {
                match row.content.get(*place).map(|expr| self.constant(expr)) {
                    Some(Constant::Null) => tuple.push(None),
                    Some(Constant::Value(value)) => tuple.push(Some(value)),
                    Some(Constant::Computed) | None => {
                        return Err(refusal(
                            format!(
                                "an insert into `{}` with a computed key or unique value",
                                self.table.name
                            ),
                            "bind it as a value",
                        ));
                    }
                }
            }
            tuples.push(tuple);
        }
        Ok(Some(tuples))
    }

    /// The values that a query gives for `names`. It must give the same when it is run again, by the insert.
    async fn selected(&self, columns: &[String], names: &[String], query: &ast::Query) -> Result<Vec<Tuple>, Error> {
        let text = query.to_string().to_ascii_lowercase();
        // Of a plain insert, the rows it brings are counted; with a conflict clause it can't be told which it wrote.
        let may_exist = self.insert.on.is_some() || self.insert.or.is_some() || self.insert.ignore;
        let timed = || ["'now'", "current_", "now()"].iter().any(|word| text.contains(word));
        if calls_random(&text) || (may_exist && timed()) {
            return Err(refusal(
                format!(
                    "an insert into `{}` from a query with random values, or an upsert from one with the time of day",
                    self.table.name
                ),
                "select first, and insert the values",
            ));
        }
        let backend = self.tx.get_database_backend();
        let mut fragments = Fragments::new(&self.write.values, backend);
        let source = fragments.render(query);
        let list = |names: &[String]| names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "WITH \"grove_source\"({}) AS ({source}) SELECT {} FROM \"grove_source\"",
            list(columns),
            list(names)
        );
        let rows = query_text(self.tx, sql, fragments.into_values()).await?;
        let mut tuples = Vec::with_capacity(rows.len());
        for found in &rows {
            let mut tuple = Vec::new();
            for (index, name) in names.iter().enumerate() {
                let column = self.table.column(name).map(|(_, column)| &column.value_type);
                let value = row::value_at(found, index, column.unwrap_or(&ArrayType::String));
                let is_null = || {
                    found
                        .try_get_by_index::<Option<String>>(index)
                        .is_ok_and(|text| text.is_none())
                };
                tuple.push(match value {
                    Err(_) if is_null() => None,
                    value => Some(value?),
                });
            }
            tuples.push(tuple);
        }
        Ok(tuples)
    }

    /// How many rows are inserted, when that can be told.
    fn row_count(&self) -> Option<usize> {
        match &self.insert.source {
            None => Some(1),
            Some(query) => match query.body.as_ref() {
                SetExpr::Values(values) => Some(values.rows.len()),
                _ => None,
            },
        }
    }

    fn constant(&self, expr: &Expr) -> Constant {
        match expr {
            Expr::Value(value) => match &value.value {
                ast::Value::Null => Constant::Null,
                ast::Value::Placeholder(text) => {
                    placeholder(text)
                        .and_then(|n| self.write.values.get(n))
                        .map_or(Constant::Computed, |value| match value {
                            value if *value == value.as_null() => Constant::Null,
                            value => Constant::Value(value.clone()),
                        })
                }
                ast::Value::Number(text, _) => text
                    .parse::<i64>()
                    .map_or(Constant::Computed, |number| Constant::Value(number.into())),
                ast::Value::SingleQuotedString(text) => Constant::Value(text.as_str().into()),
                ast::Value::Boolean(value) => Constant::Value((*value).into()),
                _ => Constant::Computed,
            },
            Expr::Nested(expr) => self.constant(expr),
            // SeaORM casts enums for PostgreSQL; elsewhere a cast may make another value of it.
            Expr::Cast { expr, .. } if self.tx.get_database_backend() == DbBackend::Postgres => self.constant(expr),
            Expr::UnaryOp {
                op: ast::UnaryOperator::Minus,
                expr,
            } => match self.constant(expr) {
                Constant::Value(Value::BigInt(Some(number))) => Constant::Value((-number).into()),
                _ => Constant::Computed,
            },
            _ => Constant::Computed,
        }
    }

    /// The columns whose conflict leads to an update of another row than the one with the inserted key.
    fn conflict_columns(&self, key: &[String]) -> Result<Option<Vec<String>>, Error> {
        let Some(assignments) = upsert_assignments(self.insert) else {
            return Ok(None);
        };
        let assigned = assigned_columns(assignments);
        if key
            .iter()
            .any(|column| assigned.iter().any(|a| a.eq_ignore_ascii_case(column)))
        {
            return Err(refusal(
                format!("an upsert of `{}` that changes the key", self.table.name),
                "delete the row and insert another",
            ));
        }
        let Some(ast::OnInsert::OnConflict(ast::OnConflict {
            conflict_target: Some(ast::ConflictTarget::Columns { columns, .. }),
            ..
        })) = &self.insert.on
        else {
            return Err(refusal(
                format!(
                    "an upsert of `{}` that does not name the columns in conflict",
                    self.table.name
                ),
                "name them: `ON CONFLICT (column) DO UPDATE …`",
            ));
        };
        let columns: Vec<_> = columns.iter().map(|column| column.value.clone()).collect();
        let is_key =
            columns.len() == key.len() && columns.iter().all(|c| key.iter().any(|k| k.eq_ignore_ascii_case(c)));
        Ok((!is_key).then_some(columns))
    }

    /// The rows that are there with the inserted values of `conflict`.
    async fn rows_in_conflict(
        &self,
        columns: &[String],
        conflict: &[String],
    ) -> Result<Vec<crate::entity::Row>, Error> {
        let Some(tuples) = self.values_of(columns, conflict).await? else {
            return Err(refusal(
                format!(
                    "an upsert of `{}` that leaves a column in conflict to its default",
                    self.table.name
                ),
                "give its value",
            ));
        };
        // A null is in conflict with nothing.
        let values: Vec<Vec<_>> = tuples
            .into_iter()
            .filter_map(|tuple| tuple.into_iter().collect())
            .collect();
        row::read_by(self.tx, self.table, conflict, &values).await
    }
}

/// The values that one row gives to some columns; `None` is a null.
type Tuple = Vec<Option<Value>>;

enum Constant {
    Value(Value),
    Null,
    Computed,
}

/// The keys in what an insert returned. `single` says that it inserts one row at most.
pub(super) fn keys_in_answer(table: &Table, single: bool, answer: &Answer) -> Result<Vec<Vec<Value>>, Error> {
    let made_by_database = || {
        refusal(
            format!("an insert into `{}` whose keys the database makes", table.name),
            "let it return them (`exec`, `exec_with_returning`), or give the keys",
        )
    };
    match answer {
        Answer::Executed(result) if result.rows_affected() == 0 => Ok(Vec::new()),
        Answer::Executed(result) => {
            let id = i64::try_from(result.last_insert_id()).ok();
            let number = table
                .key_columns()
                .all(|column| column.value_type == ArrayType::BigInt || column.value_type == ArrayType::Int);
            match id.filter(|_| number && table.key.len() == 1 && result.rows_affected() == 1) {
                Some(id) => Ok(vec![vec![id.into()]]),
                None => Err(made_by_database()),
            }
        }
        Answer::One(_) if !single => Err(made_by_database()),
        Answer::One(_) | Answer::All(_) => {
            let keys = answer.rows().iter().map(|found| {
                let key = table
                    .key_columns()
                    .map(|column| row::value_named(found, &column.name, &column.value_type));
                key.collect::<Result<Vec<_>, _>>().map_err(|_| made_by_database())
            });
            keys.collect()
        }
    }
}
