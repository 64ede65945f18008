//! Documents as a replicated table.

use grove_crdt::{Crdt, Error, Replica};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    DatabaseConnection, TransactionTrait,
    entity::prelude::*,
};

use crate::documents::{Row, Step};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    #[crdt(lww)]
    pub(crate) title: String,
    #[crdt(lww)]
    pub(crate) body: String,
    #[crdt(lww)]
    pub(crate) status: String,
    #[crdt(counter)]
    pub(crate) view_count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl From<Row> for ActiveModel {
    fn from(row: Row) -> Self {
        Self {
            id: Set(row.id),
            title: Set(row.title),
            body: Set(row.body),
            status: Set(row.status),
            view_count: Set(row.view_count),
        }
    }
}

/// Opens a replica of documents.
pub(crate) async fn open(node: &str, db: DatabaseConnection) -> Result<Replica, Error> {
    Replica::builder(node).entity::<Entity>().open(db).await
}

/// Makes one write: in a transaction of its own, unless `db` is one.
pub(crate) async fn write<C: ConnectionTrait + TransactionTrait>(db: &C, step: Step) -> Result<(), DbErr> {
    let of = |key| ActiveModel {
        id: Unchanged(key),
        ..Default::default()
    };
    match step {
        Step::Insert(row) => ActiveModel::from(row).insert(db).await.map(drop),
        Step::Retitle(key, title) => {
            let title = Set(title);
            ActiveModel { title, ..of(key) }.update(db).await.map(drop)
        }
        Step::Delete(key) => of(key).delete(db).await.map(drop),
        Step::Increment(key) => ActiveModel::increment_view_count(db, key, 1).await,
    }
}
