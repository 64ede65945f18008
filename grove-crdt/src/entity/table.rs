//! An entity without its type: what the layers below the public API work with.

use std::{
    any::TypeId,
    fmt,
    ops::RangeInclusive,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use sea_orm::{
    ColumnTrait, DbErr, FromQueryResult, IdenStatic, ModelTrait, QueryResult, QueryTrait, Value,
    sea_query::{ArrayType, Expr, SelectStatement},
};

use crate::{
    entity::{
        CrdtEntity,
        codec::{self, UNREADABLE},
        field::Read,
        key, origin,
    },
    error::Error,
    types::Kind,
};

/// A row of a user's table: one value per column, in the table's order.
pub(crate) type Row = Vec<Value>;

/// What a column is to replication.
#[derive(Clone)]
pub(crate) enum Role {
    /// Part of the primary key.
    Key,
    /// Merged between nodes.
    Replicated(Kind),
    /// Stays on this node; the function gives the value for a row that arrives new.
    Local(Arc<dyn Fn() -> Value + Send + Sync>),
}

/// One column.
pub(crate) struct Column {
    pub name: String,
    pub role: Role,
    pub value_type: ArrayType,
    /// Whether its type remembers steps, as `Counter` and `OrSet` do.
    pub remembers: bool,
    accepts: fn(&Value) -> bool,
    pub(super) read: Read,
    save_as: Box<dyn Fn(Expr) -> Expr + Send + Sync>,
}

impl Column {
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.role {
            Role::Replicated(kind) => Some(kind),
            _ => None,
        }
    }

    pub(crate) fn is_key(&self) -> bool {
        matches!(self.role, Role::Key)
    }

    /// Whether a value is one of the field's type.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        (self.accepts)(value)
    }

    /// The values that a counter in this column can have.
    pub(crate) fn counter_range(&self) -> RangeInclusive<i128> {
        match self.value_type {
            ArrayType::TinyInt => i8::MIN.into()..=i8::MAX.into(),
            ArrayType::SmallInt => i16::MIN.into()..=i16::MAX.into(),
            ArrayType::Int => i32::MIN.into()..=i32::MAX.into(),
            _ => i64::MIN.into()..=i64::MAX.into(),
        }
    }

    /// The value as an expression to write into the column.
    pub(crate) fn bind(&self, value: Value) -> Expr {
        self.saved(Expr::val(value))
    }

    /// What stands for a value, likewise.
    pub(crate) fn saved(&self, value: Expr) -> Expr {
        (self.save_as)(value)
    }

    /// The SQL value of a JSON value, or what is wrong with it.
    pub(crate) fn decode(&self, json: &serde_json::Value) -> Result<Value, String> {
        let value = codec::decode(json, &self.value_type)?;
        // JSON has a null of its own, which a column that takes no SQL null can hold.
        let json_null = || Value::Json(Some(Box::new(serde_json::Value::Null)));
        if self.takes(&value) {
            Ok(value)
        } else if value == Value::Json(None) && self.takes(&json_null()) {
            Ok(json_null())
        } else {
            Err(format!("{json} is not a value of this column's type"))
        }
    }

    /// The form in which a value that came from elsewhere is kept in the record: the same on every node, also where this
    /// column can't hold it exactly.
    pub(crate) fn normal(&self, json: serde_json::Value) -> Result<serde_json::Value, String> {
        self.decode(&json)?;
        codec::normal(json, &self.value_type)
    }

    /// The form that a value takes by going through this column's type: a `f32` has fewer digits than a `f64`.
    pub(crate) fn narrowed(&self, json: &serde_json::Value) -> Result<serde_json::Value, String> {
        codec::encode(&self.decode(json)?)
    }
}

type Decode = dyn Fn(&QueryResult) -> Result<Row, DbErr> + Send + Sync;

/// A replicated table.
pub(crate) struct Table {
    pub name: String,
    pub schema: Option<String>,
    pub columns: Vec<Column>,
    /// Indices of the primary key's columns, in the key's order.
    pub key: Vec<usize>,
    /// How many bytes the values of one statement may have together, where the database ends the connection for more. To be
    /// noted when the database is known.
    pub room: Option<usize>,
    select: fn() -> SelectStatement,
    decode: Box<Decode>,
}

impl Table {
    /// # Errors
    ///
    /// A column type that has no JSON form, or a `set` whose column is not JSON.
    pub(crate) fn of<E: CrdtEntity>() -> Result<Self, Error> {
        let entity = E::default();
        let name = entity.table_name().to_owned();
        let fields = E::fields();
        let order: Vec<_> = fields.iter().map(|field| field.column).collect();
        let columns: Vec<_> = fields
            .into_iter()
            .map(|field| Column {
                name: field.column.as_str().to_owned(),
                role: field.role,
                value_type: field.value_type,
                remembers: field.remembers,
                accepts: field.accepts,
                read: field.read,
                save_as: {
                    let column = field.column;
                    Box::new(move |value| column.save_as(value))
                },
            })
            .collect();
        for column in &columns {
            check_column(&name, column)?;
        }
        let table = Self {
            key: key::columns::<E>(&columns),
            schema: entity.schema_name().map(str::to_owned),
            columns,
            room: None,
            select: || E::find().into_query(),
            decode: Box::new(move |row| {
                let model = E::Model::from_query_result(row, "")?;
                Ok(order.iter().map(|column| model.get(*column)).collect())
            }),
            name,
        };
        origin::note(TypeId::of::<E>(), &table);
        Ok(table)
    }

    /// SeaORM's own `SELECT` of every column.
    pub(crate) fn select(&self) -> SelectStatement {
        (self.select)()
    }

    /// A row that [`select`](Self::select), or SeaORM's `RETURNING`, gave. A value that can't be read, but for the key's, is
    /// [`UNREADABLE`].
    ///
    /// # Errors
    ///
    /// A column is missing, or the key can't be read.
    pub(crate) fn decode(&self, row: &QueryResult) -> Result<Row, DbErr> {
        let error = match reading(|| (self.decode)(row)) {
            Ok(values) => return Ok(values),
            Err(error) => error,
        };
        let names = row.column_names();
        if self.columns.iter().any(|column| !names.contains(&column.name)) {
            return Err(error);
        }
        let values = self.columns.iter().map(|column| {
            let value = reading(|| (column.read)(row, &column.name));
            if column.is_key() {
                value
            } else {
                Ok(value.unwrap_or(UNREADABLE))
            }
        });
        values.collect()
    }

    pub(crate) fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }

    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|index| &self.columns[*index])
    }

    /// The replicated columns with their places and kinds.
    pub(crate) fn replicated(&self) -> impl Iterator<Item = (usize, &Column, Kind)> {
        self.columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| column.kind().map(|kind| (index, column, kind)))
    }

    pub(crate) fn kind_of(&self, field: &str) -> Option<Kind> {
        self.column(field).and_then(|(_, column)| column.kind())
    }

    pub(crate) fn has_sets(&self) -> bool {
        self.replicated().any(|(.., kind)| kind == Kind::Set)
    }

    /// An error about a value of one of this table's fields.
    pub(crate) fn value_error(&self, field: &str, detail: impl Into<String>) -> Error {
        Error::Value {
            table: self.name.clone(),
            field: field.to_owned(),
            detail: detail.into(),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads something of a result. Some drivers panic at a time that the type can't hold, such as PostgreSQL's `infinity`.
fn reading<T>(read: impl FnOnce() -> Result<T, DbErr>) -> Result<T, DbErr> {
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    result.unwrap_or_else(|_| Err(DbErr::Type("the value is beyond what its type can hold".into())))
}

fn check_column(table: &str, column: &Column) -> Result<(), Error> {
    let refuse = |detail: String| {
        Err(Error::Schema {
            table: table.to_owned(),
            detail,
        })
    };
    if !codec::is_supported(&column.value_type) && !matches!(column.role, Role::Local(_)) {
        return refuse(format!(
            "column `{}` has type {:?}, which can't be replicated; leave it untagged",
            column.name, column.value_type
        ));
    }
    if column.kind() == Some(Kind::Set) && column.value_type != ArrayType::Json {
        return refuse(format!(
            "column `{}` is a set, so its type must hold a JSON array: use `OrSet<T>`",
            column.name
        ));
    }
    Ok(())
}
