//! Every type of value that a column can have, under `lww`; each kind of integer, under `counter`.

mod everything {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "everything")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[crdt(lww)]
        pub truth: bool,
        #[crdt(lww)]
        pub tiny: i8,
        #[crdt(lww)]
        pub small: u16,
        #[crdt(lww)]
        pub big: i64,
        #[crdt(lww)]
        pub real: f64,
        #[crdt(lww)]
        pub text: String,
        #[crdt(lww)]
        pub maybe: Option<String>,
        #[crdt(lww)]
        pub reference: Option<Uuid>,
        #[crdt(lww)]
        pub bytes: Vec<u8>,
        #[crdt(lww)]
        pub json: Json,
        #[crdt(lww)]
        pub amount: Decimal,
        #[crdt(lww)]
        pub day: ChronoDate,
        #[crdt(lww)]
        pub clock: ChronoTime,
        #[crdt(lww)]
        pub local: ChronoDateTime,
        #[crdt(lww)]
        pub utc: ChronoDateTimeUtc,
        #[crdt(lww)]
        pub zoned: ChronoDateTimeWithTimeZone,
        #[crdt(lww)]
        pub time_day: TimeDate,
        #[crdt(lww)]
        pub time_clock: TimeTime,
        #[crdt(lww)]
        pub time_local: TimeDateTime,
        #[crdt(lww)]
        pub time_zoned: Option<TimeDateTimeWithTimeZone>,
        #[crdt(lww)]
        pub status: Status,
        #[crdt(lww)]
        pub priority: Option<Priority>,
        #[crdt(lww)]
        pub email: Email,
        #[crdt(lww)]
        pub settings: Settings,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
    pub enum Status {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "done")]
        Done,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Priority {
        #[sea_orm(num_value = 0)]
        Low,
        #[sea_orm(num_value = 1)]
        High,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
    pub struct Email(pub String);

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, FromJsonQueryResult)]
    pub struct Settings {
        pub dark: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod counters {
    use grove_crdt::{Counter, Crdt};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "counters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(counter)]
        pub tiny: i8,
        #[crdt(counter)]
        pub small: i16,
        #[crdt(counter)]
        pub medium: i32,
        #[crdt(counter)]
        pub big: i64,
        #[crdt(counter)]
        pub exact: Counter,
    }
}

mod sets {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "sets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(set)]
        pub words: OrSet<String>,
        #[crdt(set)]
        pub numbers: OrSet<i64>,
        #[crdt(set)]
        pub labels: OrSet<Label>,
        #[crdt(set)]
        pub plain: Labels,
    }

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
    pub struct Label {
        pub text: String,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, FromJsonQueryResult)]
    pub struct Labels(pub Vec<Label>);
}

mod local {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "local")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        pub read: bool,
        pub note: Option<Mood>,
        #[crdt(default = Mood::Calm)]
        pub mood: Mood,
        #[crdt(default = String::from("en"))]
        pub language: String,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Mood {
        #[sea_orm(num_value = 0)]
        Calm,
    }
}
