//! Documents as SeaORM alone has them.

use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ExprTrait as _,
    entity::prelude::*,
};

use crate::documents::{Row, Step};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "documents")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) status: String,
    pub(crate) view_count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

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

/// Makes one write.
pub(crate) async fn write(db: &impl ConnectionTrait, step: Step) -> Result<(), DbErr> {
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
        Step::Increment(key) => {
            let one_more = Expr::col(Column::ViewCount).add(1);
            let update = Entity::update_many().col_expr(Column::ViewCount, one_more);
            update.filter(Column::Id.eq(key)).exec(db).await.map(drop)
        }
    }
}
