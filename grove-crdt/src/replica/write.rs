//! The atomic forms of SeaORM's active model methods, which the derive puts on each `ActiveModel`.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, DeleteResult, EntityTrait,
    ExprTrait as _, IdenStatic, IntoActiveModel, Iterable, PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter,
    QueryTrait, TransactionSession, TransactionTrait, UpdateResult,
    sea_query::{Expr, IntoValueTuple, ValueTuple},
};

use crate::{
    entity::CrdtEntity,
    error::Error,
    replica::{
        announce::{Announced, Deed},
        effect::{Changed, FieldChange},
        introduction::{self, Introduction},
    },
    store::{marked::marked, retry::Attempts},
    types::Kind,
};

/// Runs `$on` with the connection itself when it is a transaction already, else in one of its own, which is run again when
/// another transaction got in its way.
macro_rules! atomically {
    ($db:expr, |$conn:ident| $on:expr) => {{
        if !matches!(introduction::ask($db), Some(Introduction::Replica(_))) {
            let $conn = $db;
            return $on.await;
        }
        let mut attempts = Attempts::default();
        loop {
            let transaction = $db.begin().await?;
            if let Some(Introduction::Transaction(session)) = introduction::ask(&transaction) {
                session.is_for_one_write();
            }
            let result = {
                let $conn = &transaction;
                $on.await
            };
            let failed = match result {
                Ok(value) => match transaction.commit().await {
                    Ok(()) => return Ok(value),
                    Err(error) => error,
                },
                Err(error) => {
                    // The statement's own error tells more than one of the rollback would.
                    let _ = transaction.rollback().await;
                    error
                }
            };
            attempts.after(failed).await?;
        }
    }};
}

/// Inserts the row and records its birth.
pub async fn insert<A, C>(active: A, db: &C) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: ConnectionTrait + TransactionTrait,
{
    atomically!(db, |conn| ActiveModelTrait::insert(active.clone(), conn))
}

/// Updates the row and records what changed.
pub async fn update<A, C>(active: A, db: &C) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: ConnectionTrait + TransactionTrait,
{
    atomically!(db, |conn| ActiveModelTrait::update(active.clone(), conn))
}

/// As [`update`], without reading the row back.
pub async fn update_without_returning<A, C>(active: A, db: &C) -> Result<UpdateResult, DbErr>
where
    A: ActiveModelBehavior + Send,
    C: ConnectionTrait + TransactionTrait,
{
    let updated: Result<_, DbErr> = async {
        atomically!(db, |conn| ActiveModelTrait::update_without_returning(
            active.clone(),
            conn
        ))
    }
    .await;
    updated.map(|mut result| {
        result.rows_affected = one_row(result.rows_affected);
        result
    })
}

/// Inserts or updates the row, as SeaORM's `save` does, and records it.
pub async fn save<A, C>(active: A, db: &C) -> Result<A, DbErr>
where
    A: ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: ConnectionTrait + TransactionTrait,
{
    atomically!(db, |conn| ActiveModelTrait::save(active.clone(), conn))
}

/// Deletes the row and records its death.
pub async fn delete<A, C>(active: A, db: &C) -> Result<DeleteResult, DbErr>
where
    A: ActiveModelBehavior + Send,
    C: ConnectionTrait + TransactionTrait,
{
    let deleted: Result<_, DbErr> =
        async { atomically!(db, |conn| ActiveModelTrait::delete(active.clone(), conn)) }.await;
    deleted.map(|mut result| {
        result.rows_affected = one_row(result.rows_affected);
        result
    })
}

/// How many rows were written under one key, where its record may be counted along.
fn one_row(written: u64) -> u64 {
    Ord::min(written, 1)
}

/// Moves a counter of a row that nobody has loaded: one statement, and one step in the record.
pub async fn increment<E, C>(
    db: &C,
    key: <E::PrimaryKey as PrimaryKeyTrait>::ValueType,
    column: E::Column,
    by: i64,
) -> Result<(), DbErr>
where
    E: CrdtEntity,
    C: ConnectionTrait + TransactionTrait,
{
    let key = key.into_value_tuple();
    atomically!(db, |conn| increment_on::<E, _>(conn, key.clone(), column, by))
}

async fn increment_on<E, C>(db: &C, key: ValueTuple, column: E::Column, by: i64) -> Result<(), DbErr>
where
    E: CrdtEntity,
    C: ConnectionTrait,
{
    let name = E::default().table_name();
    let key: Vec<_> = key.into_iter().collect();
    let mut update = E::update_many().col_expr(column, Expr::col(column).add(by));
    for (part, value) in E::PrimaryKey::iter().zip(&key) {
        update = update.filter(part.into_column().eq(value.clone()));
    }
    // Before it is announced, since it is known by its text.
    let statement = marked(update.build(db.get_database_backend()));
    match introduction::ask(db) {
        Some(Introduction::Transaction(session)) => {
            let table = session.core.registry.require(name)?.clone();
            let (index, _) = table
                .column(column.as_str())
                .ok_or_else(|| table.value_error(column.as_str(), "there is no such column"))?;
            let catalog = session.core.catalog(db).await?;
            let generated = table
                .replicated()
                .filter(|(_, field, kind)| *kind == Kind::Lww && catalog.is_generated(&table.name, &field.name));
            let mut fields: BTreeMap<_, _> = generated.map(|(place, ..)| (place, FieldChange::Assigned)).collect();
            fields.insert(index, FieldChange::Moved(by));
            let changed = Changed {
                fields,
                ..Changed::default()
            };
            if !catalog.must_compare(&table.name) {
                let announced = Announced::new(statement.clone(), table, key, Deed::Update(changed));
                session.log().announced.push(announced);
            }
        }
        Some(Introduction::Untracked) => {}
        Some(Introduction::Replica(_)) | None => {
            return Err(Error::Uncapturable {
                what: format!("an increment in `{name}` on a connection that is no replica"),
                instead: "pass the `Replica` or its transaction".into(),
            }
            .into());
        }
    }
    let result = db.execute_raw(statement).await?;
    if result.rows_affected() == 0 {
        return Err(DbErr::RecordNotUpdated);
    }
    Ok(())
}
