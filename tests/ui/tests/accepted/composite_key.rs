//! A composite key: `increment_…` takes it as a tuple. A table that is all key has nothing to tag.

mod play_count {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "play_counts")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub playlist_id: i32,
        #[sea_orm(primary_key)]
        pub track_id: i32,
        #[crdt(counter)]
        pub plays: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod playlist_track {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "playlist_track")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub playlist_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub track_id: i32,
    }
}

use sea_orm::{DatabaseConnection, DbErr};

#[allow(dead_code)]
async fn play(db: &DatabaseConnection) -> Result<(), DbErr> {
    play_count::ActiveModel::increment_plays(db, (1, 2), 1).await
}
