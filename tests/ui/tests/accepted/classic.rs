//! The classic entity format; and what the generated trait tells of it.

mod document {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(counter)]
        pub view_count: i64,
        #[crdt(set)]
        pub tags: OrSet<String>,
        pub author: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

use document::{ActiveModel, Entity, Model};
use grove_crdt::{CrdtEntity, OrSet};
use sea_orm::{DatabaseConnection, Set};

/// The futures can be spawned.
#[allow(dead_code)]
fn spawnable(db: &DatabaseConnection, replica: &grove_crdt::Replica) {
    fn is_send<T: Send>(_: T) {}

    is_send(ActiveModel::default().insert(db));
    is_send(ActiveModel::default().update(db));
    is_send(ActiveModel::default().update_without_returning(db));
    is_send(ActiveModel::default().save(db));
    is_send(ActiveModel::default().delete(db));
    is_send(ActiveModel::increment_view_count(db, "doc-1", 5));
    is_send(Model::merge_remote(replica, &[]));
}

#[test]
fn values_made_anew_remember_no_operations() {
    assert_eq!(Entity::fields().len(), 5);
    let tags = OrSet::from([String::from("crdt")]);
    let active = ActiveModel {
        view_count: Set(1),
        tags: Set(tags),
        ..Default::default()
    };
    assert!(Entity::remembered(&active).is_empty());
}
