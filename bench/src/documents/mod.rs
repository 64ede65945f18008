//! The table that is measured on: as a replicated entity, and as a plain one with the same columns.

pub(crate) mod plain;
pub(crate) mod replicated;
mod row;
mod step;

use std::ops::Range;

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter as _, Schema,
    sea_query::{Expr, ExprTrait as _},
};

pub(crate) use row::{Row, key};
pub(crate) use step::Step;

/// How many rows one statement inserts, and one page has.
pub(crate) const PAGE: usize = 1_000;

/// Creates the table.
pub(crate) async fn create_table(db: &DatabaseConnection) -> Result<(), DbErr> {
    let schema = Schema::new(db.get_database_backend());
    db.execute(&schema.create_table_from_entity(plain::Entity))
        .await
        .map(drop)
}

/// Inserts the rows of these numbers, a thousand by one statement.
pub(crate) async fn insert_many<A>(db: &impl ConnectionTrait, numbers: Range<usize>) -> Result<(), DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + From<Row>,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let end = numbers.end;
    for begin in numbers.step_by(PAGE) {
        let rows = (begin..end.min(begin + PAGE)).map(|number| A::from(Row::number(number)));
        A::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Gives the rows of these numbers a new title, a thousand by one statement.
pub(crate) async fn retitle_many<E: EntityTrait>(
    db: &impl ConnectionTrait,
    numbers: Range<usize>,
    title: &str,
) -> Result<(), DbErr> {
    let end = numbers.end;
    for begin in numbers.step_by(PAGE) {
        let (first, last) = (key(begin), key(end.min(begin + PAGE) - 1));
        E::update_many()
            .col_expr("title", Expr::value(title))
            .filter(Expr::col("id").between(first, last))
            .exec(db)
            .await?;
    }
    Ok(())
}
