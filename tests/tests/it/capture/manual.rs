//! `#[crdt(behavior = "manual")]`: the user's own hooks, which call those of the runtime.

use grove_crdt_tests::{assert_agrees, cells, replica_of};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel, ModelTrait, TransactionSession, TransactionTrait};

mod post {
    use grove_crdt::{Counter, Crdt, hooks};
    use sea_orm::{ActiveValue::Set, entity::prelude::*};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "posts")]
    #[crdt(behavior = "manual")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub slug: String,
        #[crdt(counter)]
        pub saves: Counter,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_save<C: ConnectionTrait>(mut self, db: &C, insert: bool) -> Result<Self, DbErr> {
            if let Set(slug) = &mut self.slug {
                *slug = slug.to_lowercase();
            }
            if let Set(saves) = &mut self.saves {
                *saves += 1;
            }
            let this = hooks::before_save(self, db, insert).await?;
            // A refusal after the announcement must leave no trace either.
            match &this.slug {
                Set(slug) if slug == "bad" => Err(DbErr::Custom("no such slug".into())),
                _ => Ok(this),
            }
        }

        async fn after_save<C: ConnectionTrait>(model: Model, db: &C, insert: bool) -> Result<Model, DbErr> {
            hooks::after_save::<Self, C>(model, db, insert).await
        }

        async fn before_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
            hooks::before_delete(self, db).await
        }

        async fn after_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
            hooks::after_delete(self, db).await
        }
    }
}

mod silent {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "silent")]
    #[crdt(behavior = "manual")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[apply(on_each_database!)]
async fn what_the_users_hooks_make_of_it_is_recorded() {
    let replica = replica_of::<post::Entity>("node-1").await;
    let post = |slug: &str| post::ActiveModel {
        id: Set("p".into()),
        slug: Set(slug.into()),
        saves: Set(0.into()),
    };
    let row = post("HELLO").insert(&replica).await.unwrap();
    assert_eq!((row.slug.as_str(), row.saves.get()), ("hello", 1));
    let stale = row.clone();
    for slug in ["ONE", "TWO"] {
        let change = post::ActiveModel {
            slug: Set(slug.into()),
            saves: Set(stale.saves),
            ..stale.clone().into_active_model()
        };
        change.update(&replica).await.unwrap();
    }
    assert_agrees::<post::Entity, _>(&replica).await;
    let row = post::Entity::find_by_id("p").one(&replica).await.unwrap().unwrap();
    assert_eq!((row.slug.as_str(), row.saves.get()), ("two", 3));
    let before = cells(&replica, "posts").await;
    let tx = replica.begin().await.unwrap();
    post::ActiveModel {
        slug: Set("BAD".into()),
        ..row.clone().into_active_model()
    }
    .update(&tx)
    .await
    .unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(cells(&replica, "posts").await, before);
    row.delete(&replica).await.unwrap();
    assert_agrees::<post::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn hooks_that_announce_nothing_lose_nothing() {
    let replica = replica_of::<silent::Entity>("node-1").await;
    let row = silent::ActiveModel {
        id: Set("s".into()),
        title: Set("t".into()),
    }
    .insert(&replica)
    .await
    .unwrap();
    silent::ActiveModel {
        title: Set("u".into()),
        ..row.into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_agrees::<silent::Entity, _>(&replica).await;
    silent::ActiveModel {
        id: Set("s".into()),
        ..Default::default()
    }
    .delete(&replica)
    .await
    .unwrap();
    assert_agrees::<silent::Entity, _>(&replica).await;
}
