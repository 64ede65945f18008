//! Values of every column type reach another node as they were, and an adoption there finds no difference.

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{backend, builder, cells, create_table, new_database, replica_of, rows, run_all};
use sea_orm::{ActiveValue::Set, DbBackend, IntoActiveModel, QueryOrder as _, prelude::*};

mod sample {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
    pub enum Mood {
        #[sea_orm(string_value = "G")]
        Good,
        #[sea_orm(string_value = "B")]
        Bad,
    }

    #[derive(Clone, Debug, PartialEq, DeriveValueType)]
    pub struct Celsius(pub f64);

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "samples")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[crdt(lww)]
        pub flag: bool,
        #[crdt(lww)]
        pub small: i16,
        #[crdt(lww)]
        pub int: i32,
        #[crdt(lww)]
        pub big: i64,
        #[crdt(lww)]
        pub float: f32,
        #[crdt(lww)]
        pub double: f64,
        #[crdt(lww)]
        pub text: String,
        #[crdt(lww)]
        pub bytes: Vec<u8>,
        #[crdt(lww)]
        pub json: Json,
        #[crdt(lww)]
        #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
        pub decimal: Decimal,
        #[crdt(lww)]
        pub date: Date,
        #[crdt(lww)]
        pub time: Time,
        #[crdt(lww)]
        pub datetime: DateTime,
        #[crdt(lww)]
        pub utc: DateTimeUtc,
        #[crdt(lww)]
        pub zoned: DateTimeWithTimeZone,
        #[crdt(lww)]
        pub time_date: TimeDate,
        #[crdt(lww)]
        pub time_datetime: TimeDateTime,
        #[crdt(lww)]
        pub mood: Mood,
        #[crdt(lww)]
        #[sea_orm(column_name = "temp")]
        pub temperature: Celsius,
        #[crdt(lww)]
        pub maybe: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod narrow {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "narrow")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub tiny: i8,
        #[crdt(lww)]
        pub unsigned: u32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

use sample::{Celsius, Mood};

/// A replica of samples. A time of MySQL's has no fraction of a second unless it is asked for.
async fn replica(node: &str) -> Replica {
    let db = new_database().await;
    create_table(&db, sample::Entity).await.unwrap();
    if backend() == DbBackend::MySql {
        let precise = "ALTER TABLE samples MODIFY \"time\" TIME(6) NOT NULL, MODIFY \"datetime\" DATETIME(6) NOT NULL, \
                       MODIFY utc TIMESTAMP(6) NOT NULL, MODIFY zoned TIMESTAMP(6) NOT NULL, \
                       MODIFY time_datetime DATETIME(6) NOT NULL";
        run_all(&db, &[precise]).await;
    }
    builder(node).0.entity::<sample::Entity>().open(db).await.unwrap()
}

fn ordinary() -> sample::Model {
    let date = Date::from_ymd_opt(2024, 2, 29).unwrap();
    let datetime = date.and_hms_micro_opt(12, 34, 56, 789).unwrap();
    let time_date = TimeDate::from_ordinal_date(2024, 60).unwrap();
    sample::Model {
        id: Uuid::from_u128(1),
        flag: true,
        small: 300,
        int: -70_000,
        big: 5_000_000_000,
        float: 0.1,
        double: 94.958_862_831_581_03,
        text: "𝄞 Grüße, \"quoted\"".into(),
        bytes: vec![0, 1, 254, 255],
        json: serde_json::json!({ "b": [1, 2.5, null], "a": "x" }),
        decimal: Decimal::new(1_250, 2),
        date,
        time: datetime.time(),
        datetime,
        utc: datetime.and_utc(),
        zoned: DateTimeWithTimeZone::parse_from_rfc3339("2024-01-01T01:00:00+02:00").unwrap(),
        time_date,
        time_datetime: time_date.with_hms(1, 2, 3).unwrap(),
        mood: Mood::Good,
        temperature: Celsius(-40.5),
        maybe: None,
    }
}

fn extreme() -> sample::Model {
    sample::Model {
        id: Uuid::from_u128(u128::MAX),
        flag: false,
        small: i16::MIN,
        int: i32::MIN,
        big: i64::MIN,
        float: f32::MIN_POSITIVE,
        double: f64::MAX,
        text: String::new(),
        bytes: Vec::new(),
        json: Json::Null,
        mood: Mood::Bad,
        maybe: Some(i64::MAX),
        ..ordinary()
    }
}

async fn all(replica: &Replica) -> Vec<sample::Model> {
    let rows = sample::Entity::find().order_by_asc(sample::Column::Id);
    rows.all(replica).await.unwrap()
}

#[apply(on_each_database!)]
async fn every_column_type_travels() {
    let (a, b) = (replica("a").await, replica("b").await);
    for model in [ordinary(), extreme()] {
        let stored = model.clone().into_active_model().reset_all().insert(&a).await.unwrap();
        assert_eq!(stored, model);
    }
    // A change of every field is a cell of every field.
    let changed = sample::Model {
        id: Uuid::from_u128(1),
        ..extreme()
    };
    changed
        .clone()
        .into_active_model()
        .reset_all()
        .update(&a)
        .await
        .unwrap();

    let syncer = Syncer::builder(&b).peer(MemoryTransport::new(&a)).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert_eq!((report.rejected, report.parked), (0, 0), "{:?}", b.dead_letters().await);
    assert_eq!(
        sample::Entity::find_by_id(changed.id).one(&b).await.unwrap(),
        Some(changed)
    );
    // As values: a time with a zone is one instant, whatever the offset it is written with.
    assert_eq!(all(&a).await, all(&b).await);
    assert_eq!(cells(&a, "samples").await, cells(&b, "samples").await);
    for replica in [&a, &b] {
        let found = replica.adopt::<sample::Entity>().await.unwrap();
        assert_eq!((found.adopted, found.changed), (0, 0), "{found}");
    }
}

/// PostgreSQL has no columns for them.
#[apply(on_sqlite_and_mysql!)]
async fn narrow_and_unsigned_numbers_travel() {
    let (a, b) = (
        replica_of::<narrow::Entity>("a").await,
        replica_of::<narrow::Entity>("b").await,
    );
    for (id, tiny, unsigned) in [(1, -1, 4_000_000_000), (2, i8::MIN, u32::MAX), (3, i8::MAX, 0)] {
        let model = narrow::Model { id, tiny, unsigned };
        model.into_active_model().reset_all().insert(&a).await.unwrap();
    }
    let syncer = Syncer::builder(&b).peer(MemoryTransport::new(&a)).build().unwrap();
    syncer.sync().await.unwrap();
    assert_eq!(rows::<narrow::Entity, _>(&a).await, rows::<narrow::Entity, _>(&b).await);
    assert_eq!(rows::<narrow::Entity, _>(&b).await.len(), 3);
}

#[apply(on_each_database!)]
async fn a_value_without_a_json_form_is_refused_by_name() {
    let replica = replica("a").await;
    let mut model = ordinary().into_active_model().reset_all();
    model.double = Set(f64::INFINITY);
    let error = model.insert(&replica).await.unwrap_err().to_string();
    // MySQL refuses it before anybody else can.
    let says = match backend() {
        DbBackend::MySql => "column 'double'",
        _ => "table `samples`, field `double`",
    };
    assert!(error.contains(says), "{error}");
    assert_eq!(rows::<sample::Entity, _>(&replica).await, Vec::<String>::new());
}
