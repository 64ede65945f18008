//! Four tables whose columns are always the same. What a schema says of them beyond that, keys, constraints and references,
//! is drawn for each run.

use grove_crdt::ReplicaBuilder;
use grove_crdt_tests::backend;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait, Iterable as _,
    QueryFilter as _, QueryResult, Statement, TransactionTrait, Value, prelude::Uuid, sea_query::Expr,
};

use super::statement::{Change, Way};

macro_rules! table {
    ($module:ident, $table:literal, $key:ident, [$($code:tt)+], [$($pos:tt)+]) => {
        pub mod $module {
            use grove_crdt::Crdt;
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: $key,
                #[crdt(lww)]
                pub code: $($code)+,
                #[crdt(lww)]
                pub pos: $($pos)+,
                #[crdt(lww)]
                pub up_id: Option<String>,
                #[crdt(lww)]
                pub other_id: Option<String>,
                #[crdt(lww)]
                pub self_id: Option<$key>,
                #[crdt(lww)]
                pub num_id: Option<i64>,
                #[crdt(lww)]
                pub title: Option<String>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}
        }
    };
}

table!(t1, "t1", String, [Option<String>], [Option<i32>]);
table!(t2, "t2", i64, [Option<String>], [Option<i32>]);
table!(t3, "t3", String, [String], [i16]);
table!(t4, "t4", String, [Option<Uuid>], [Option<i32>]);

/// Does something with the module of the table of this number.
macro_rules! with_table {
    ($number:expr, $module:ident => $body:expr) => {
        match $number {
            0 => {
                use $crate::order::tables::t1 as $module;
                $body
            }
            1 => {
                use $crate::order::tables::t2 as $module;
                $body
            }
            2 => {
                use $crate::order::tables::t3 as $module;
                $body
            }
            _ => {
                use $crate::order::tables::t4 as $module;
                $body
            }
        }
    };
}

/// The columns, in their order, and their places.
pub const COLUMNS: [&str; 8] = ["id", "code", "pos", "up_id", "other_id", "self_id", "num_id", "title"];
pub const ID: usize = 0;
pub const CODE: usize = 1;
pub const POS: usize = 2;
pub const UP: usize = 3;
pub const OTHER: usize = 4;
pub const OWN: usize = 5;
pub const NUM: usize = 6;
pub const TITLE: usize = 7;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Long,
    Int,
    Small,
    Uuid,
}

/// The type of a column of the table of this number.
pub fn kind(table: usize, column: usize) -> Kind {
    match (column, table) {
        (CODE, 3) => Kind::Uuid,
        (ID | OWN, 1) | (NUM, _) => Kind::Long,
        (POS, 2) => Kind::Small,
        (POS, _) => Kind::Int,
        _ => Kind::Text,
    }
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Val {
    Null,
    Int(i64),
    Text(String),
    Uuid(Uuid),
}

impl Val {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn uuid(number: usize) -> Self {
        Self::Uuid(Uuid::from_u128(u128::try_from(number).expect("a number")))
    }

    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// The value in SQL.
    pub fn literal(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Text(text) => format!("'{text}'"),
            Self::Uuid(uuid) if backend() == DbBackend::Postgres => format!("'{uuid}'"),
            Self::Uuid(uuid) => format!("X'{}'", uuid.simple()),
        }
    }

    /// As it is found in the JSON of a record.
    pub fn of_json(json: &serde_json::Value, kind: Kind) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::String(text) if kind == Kind::Uuid => Self::Uuid(text.parse().expect("a UUID")),
            serde_json::Value::String(text) => Self::text(text),
            number => Self::Int(number.as_i64().expect("an integer")),
        }
    }

    fn bound(&self, kind: Kind) -> Value {
        let number = || match self {
            Self::Int(number) => Some(*number),
            Self::Null => None,
            other => panic!("{other:?} is no number"),
        };
        match kind {
            Kind::Text => Value::from(match self {
                Self::Text(text) => Some(text.clone()),
                Self::Null => None,
                other => panic!("{other:?} is no text"),
            }),
            Kind::Uuid => Value::from(match self {
                Self::Uuid(uuid) => Some(*uuid),
                Self::Null => None,
                other => panic!("{other:?} is no UUID"),
            }),
            Kind::Long => Value::from(number()),
            Kind::Int => Value::from(number().map(|number| i32::try_from(number).expect("an i32"))),
            Kind::Small => Value::from(number().map(|number| i16::try_from(number).expect("an i16"))),
        }
    }
}

/// A row, by [`COLUMNS`].
pub type Row = [Val; 8];

/// The rows of a table, in the order of their keys.
pub async fn rows_of<C: ConnectionTrait>(conn: &C, table: usize) -> Result<Vec<Row>, DbErr> {
    let text = format!("SELECT {} FROM t{}", COLUMNS.join(", "), table + 1);
    let found = conn
        .query_all_raw(Statement::from_string(conn.get_database_backend(), text))
        .await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        let mut values = [const { Val::Null }; 8];
        for (column, value) in values.iter_mut().enumerate() {
            *value = value_at(row, table, column)?;
        }
        rows.push(values);
    }
    rows.sort();
    Ok(rows)
}

fn value_at(row: &QueryResult, table: usize, column: usize) -> Result<Val, DbErr> {
    let number = match kind(table, column) {
        Kind::Text => {
            let text: Option<String> = row.try_get_by_index(column)?;
            return Ok(text.map_or(Val::Null, Val::Text));
        }
        Kind::Uuid => {
            let uuid: Option<Uuid> = row.try_get_by_index(column)?;
            return Ok(uuid.map_or(Val::Null, Val::Uuid));
        }
        Kind::Long => row.try_get_by_index::<Option<i64>>(column)?,
        Kind::Int => row.try_get_by_index::<Option<i32>>(column)?.map(i64::from),
        Kind::Small => row.try_get_by_index::<Option<i16>>(column)?.map(i64::from),
    };
    Ok(number.map_or(Val::Null, Val::Int))
}

/// Registers the tables of these numbers.
pub fn register(mut builder: ReplicaBuilder, tables: impl IntoIterator<Item = usize>) -> ReplicaBuilder {
    for table in tables {
        builder = with_table!(table, m => builder.entity::<m::Entity>());
    }
    builder
}

/// Carries out a change by the public API, in the way that it names.
pub async fn perform<C: ConnectionTrait + TransactionTrait>(conn: &C, change: &Change) -> Result<(), DbErr> {
    match change {
        Change::Insert { table, rows, way } if *way != Way::Raw => with_table!(*table, m => {
            let mut models = rows.iter().map(|row| {
                let mut model = <m::ActiveModel as Default>::default();
                fill(&mut model, *table, row.iter().cloned().enumerate());
                model
            });
            match (way, rows.len()) {
                (Way::Model, 1) => models.next().expect("one").insert(conn).await.map(drop),
                _ => m::Entity::insert_many(models).exec_without_returning(conn).await.map(drop),
            }
        }),
        Change::Update {
            table,
            at: (ID, key),
            set,
            way: Way::Model,
        } => with_table!(*table, m => {
            let mut model = <m::ActiveModel as Default>::default();
            fill(&mut model, *table, std::iter::once((ID, key.clone())).chain(set.iter().cloned()));
            model.update(conn).await.map(drop)
        }),
        Change::Update { table, at, set, way } if *way != Way::Raw => with_table!(*table, m => {
            let column = |place: usize| m::Column::iter().nth(place).expect("a column");
            let mut update = m::Entity::update_many();
            for (place, value) in set {
                update = update.col_expr(column(*place), Expr::val(value.bound(kind(*table, *place))));
            }
            let at = column(at.0).eq(at.1.bound(kind(*table, at.0)));
            update.filter(at).exec(conn).await.map(drop)
        }),
        Change::Delete {
            table,
            at: (ID, key),
            way: Way::Model,
        } => with_table!(*table, m => {
            let mut model = <m::ActiveModel as Default>::default();
            fill(&mut model, *table, [(ID, key.clone())]);
            model.delete(conn).await.map(drop)
        }),
        Change::Delete { table, at, way } if *way != Way::Raw => with_table!(*table, m => {
            let column = m::Column::iter().nth(at.0).expect("a column");
            let at = column.eq(at.1.bound(kind(*table, at.0)));
            m::Entity::delete_many().filter(at).exec(conn).await.map(drop)
        }),
        raw => {
            let statement = Statement::from_string(conn.get_database_backend(), raw.to_string());
            conn.execute_raw(statement).await.map(drop)
        }
    }
}

fn fill<M: ActiveModelTrait>(model: &mut M, table: usize, values: impl IntoIterator<Item = (usize, Val)>) {
    for (place, value) in values {
        let column = <M::Entity as EntityTrait>::Column::iter().nth(place).expect("a column");
        model.set(column, value.bound(kind(table, place)));
        assert!(!matches!(model.get(column), ActiveValue::NotSet));
    }
}
