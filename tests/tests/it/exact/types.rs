//! A field may have different types on two nodes, as long as they are of one kind.

use grove_crdt::Replica;
use grove_crdt_tests::{cells, replica_of};
use sea_orm::{IntoActiveModel as _, prelude::*};

use super::databases::pull;

mod wide {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "things")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[crdt(lww)]
        pub number: i64,
        #[crdt(lww)]
        pub float: f64,
        #[crdt(lww)]
        pub uuid: String,
        #[crdt(lww)]
        pub at: DateTimeWithTimeZone,
        #[crdt(lww)]
        pub letter: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod narrow {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(1))")]
    pub enum Letter {
        #[sea_orm(string_value = "A")]
        A,
        #[sea_orm(string_value = "B")]
        B,
    }

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "things")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub number: u8,
        #[crdt(lww)]
        pub float: f32,
        #[crdt(lww)]
        pub uuid: Uuid,
        #[crdt(lww)]
        pub at: TimeDateTimeWithTimeZone,
        #[crdt(lww)]
        pub letter: Letter,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

fn wide() -> wide::Model {
    wide::Model {
        id: 1,
        number: 200,
        float: 1.0 / 3.0,
        uuid: "550E8400-E29B-41D4-A716-446655440000".into(),
        at: DateTimeWithTimeZone::parse_from_rfc3339("2024-02-29T12:34:56.5+02:00").unwrap(),
        letter: "B".into(),
    }
}

async fn assert_no_edit(replica: &Replica) {
    let before = cells(replica, "things").await;
    let found = replica.adopt::<narrow::Entity>().await.unwrap();
    assert_eq!((found.adopted, found.changed), (0, 0), "{found}");
    let row = narrow::Entity::find_by_id(1).one(replica).await.unwrap().unwrap();
    row.into_active_model().reset_all().update(replica).await.unwrap();
    assert_eq!(cells(replica, "things").await, before);
}

#[tokio::test]
async fn types_of_one_kind_understand_each_other() {
    let (a, b, c) = (
        replica_of::<wide::Entity>("a").await,
        replica_of::<narrow::Entity>("b").await,
        replica_of::<wide::Entity>("c").await,
    );
    wide().into_active_model().reset_all().insert(&a).await.unwrap();
    assert_eq!(pull(&b, &a, "things").await, 0);
    let row = narrow::Entity::find_by_id(1).one(&b).await.unwrap().unwrap();
    assert_eq!((row.number, row.float.to_string()), (200, "0.33333334".to_owned()));
    assert_eq!(row.uuid.to_string(), wide().uuid.to_lowercase());
    assert_eq!(
        (row.at.unix_timestamp(), row.letter.clone()),
        (wide().at.timestamp(), narrow::Letter::B)
    );
    assert_eq!(cells(&a, "things").await, cells(&b, "things").await);
    assert_no_edit(&b).await;
    // Through it, everything is as it was.
    assert_eq!(pull(&c, &b, "things").await, 0);
    assert_eq!(cells(&a, "things").await, cells(&c, "things").await);
    assert_eq!(wide::Entity::find_by_id(1).one(&c).await.unwrap(), Some(wide()));
    // What is written there is read here.
    let edited = narrow::Model {
        number: 201,
        float: 0.1,
        ..row
    };
    edited.into_active_model().reset_all().update(&b).await.unwrap();
    assert_eq!(pull(&a, &b, "things").await, 0);
    let expected = wide::Model {
        number: 201,
        float: 0.1,
        ..wide()
    };
    assert_eq!(wide::Entity::find_by_id(1).one(&a).await.unwrap(), Some(expected));
}

mod worded {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "links")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub target: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod linked {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "links")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub target: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// The record has it as it was written, and the column as it reads it.
#[apply(on_each_database!)]
async fn a_uuid_in_upper_case_is_no_edit_where_it_is_read_in_lower_case() {
    let (a, b) = (
        replica_of::<worded::Entity>("a").await,
        replica_of::<linked::Entity>("b").await,
    );
    let row = worded::Model {
        id: 1,
        target: wide().uuid,
    };
    row.into_active_model().reset_all().insert(&a).await.unwrap();
    assert_eq!(pull(&b, &a, "links").await, 0);
    let before = cells(&b, "links").await;
    let found = b.adopt::<linked::Entity>().await.unwrap();
    assert_eq!((found.adopted, found.changed), (0, 0), "{found}");
    assert_eq!(cells(&b, "links").await, before);
    assert_eq!(cells(&a, "links").await, before);
}
