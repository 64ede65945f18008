//! Columns, variants and tables under names of their own, keywords as names, and fields that are no columns.

mod document {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(schema_name = "main", table_name = "Documents of mine", rename_all = "camelCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_name = "ID", enum_name = "Key")]
        pub id: String,
        #[sea_orm(column_name = "Title of it", column_type = "Text", nullable)]
        #[crdt(lww)]
        pub title: Option<String>,
        #[sea_orm(enum_name = "Views")]
        #[crdt(counter)]
        pub view_count: i64,
        #[crdt(lww)]
        pub r#type: String,
        #[crdt(counter)]
        pub r#yield: i16,
        #[crdt(lww)]
        pub self_: bool,
        #[crdt(lww)]
        pub _hidden: bool,
        #[crdt(lww)]
        pub http2_url: String,
        #[sea_orm(ignore)]
        pub cached: NotAColumn,
    }

    #[derive(Clone, Debug, PartialEq, Default)]
    pub struct NotAColumn;

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

use sea_orm::{DatabaseConnection, DbErr};

#[allow(dead_code)]
async fn count(db: &DatabaseConnection) -> Result<(), DbErr> {
    document::ActiveModel::increment_view_count(db, "doc-1", 5).await?;
    document::ActiveModel::increment_yield(db, String::from("doc-1"), -5).await
}

#[test]
fn every_field_but_the_ignored_one_is_known() {
    use grove_crdt::CrdtEntity as _;

    assert_eq!(document::Entity::fields().len(), 8);
}
