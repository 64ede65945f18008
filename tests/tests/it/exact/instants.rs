//! Instants beyond what MySQL's timestamps hold: written there as they are, SeaORM's driver makes them the present time.

use grove_crdt_tests::{Kind, kind};
use sea_orm::{IntoActiveModel as _, prelude::*};

use super::databases::{open, pull};

mod event {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub utc: DateTimeUtc,
        #[crdt(lww)]
        pub time: TimeDateTimeWithTimeZone,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// A table whose columns are of this type on MySQL.
fn table(kind: Kind, on_mysql: &str) -> String {
    let column = match kind {
        Kind::MySql | Kind::MariaDb => on_mysql,
        Kind::Postgres => "timestamptz",
        Kind::Sqlite => "text",
    };
    format!("CREATE TABLE events (id int NOT NULL PRIMARY KEY, utc {column} NOT NULL, time {column} NOT NULL)")
}

fn event(id: i32, instant: &str) -> event::Model {
    let utc: DateTimeUtc = instant.parse().unwrap();
    event::Model {
        id,
        utc,
        time: TimeDateTimeWithTimeZone::from_unix_timestamp_nanos(
            i128::from(utc.timestamp()) * 1_000_000_000 + i128::from(utc.timestamp_subsec_nanos()),
        )
        .unwrap(),
    }
}

#[apply(on_each_database!)]
async fn an_instant_that_a_column_can_t_hold_waits_and_one_that_it_can_is_there() {
    let kind = kind();
    for on_mysql in ["timestamp(6)", "datetime(6)"] {
        let waits = matches!(kind, Kind::MySql | Kind::MariaDb) && on_mysql.starts_with("timestamp");
        let here = open::<event::Entity>(Kind::Sqlite, "a", &table(Kind::Sqlite, on_mysql)).await;
        let there = open::<event::Entity>(kind, "b", &table(kind, on_mysql)).await;
        let events = [
            event(1, "2024-02-29T12:34:56.000001Z"),
            event(2, "2038-01-19T03:14:08.000001Z"),
            event(3, "1901-01-01T00:00:00Z"),
            event(4, "9999-12-31T23:59:59.999999Z"),
        ];
        for event in &events {
            event
                .clone()
                .into_active_model()
                .reset_all()
                .insert(&here)
                .await
                .unwrap();
        }
        let parked = pull(&there, &here, "events").await;
        assert_eq!(parked, if waits { 3 } else { 0 }, "{:?}", there.parked().await);
        let mut rows = event::Entity::find().all(&there).await.unwrap();
        rows.sort_by_key(|row| row.id);
        assert_eq!(rows, if waits { &events[..1] } else { &events[..] });
        let found = there.adopt::<event::Entity>().await.unwrap();
        assert_eq!(found.changed, 0, "{found}");
    }
}
