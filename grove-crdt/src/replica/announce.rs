//! Writes that SeaORM's hooks announce, so that nothing has to be parsed or read to know what they do.
//!
//! A hook notes the very statement that SeaORM is about to send and what it will do. When the wrapper sees that statement
//! succeed, the note becomes an effect. A statement that fails, or matches no row, leaves no trace; one that was changed
//! after the hook is captured like any other.

use std::{collections::BTreeMap, sync::Arc};

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable,
    QueryTrait, Statement, Value,
};
use serde_json::Value as Json;

use crate::{
    entity::{Column, CrdtEntity, Operation, Remembered, Row, SetStep, Table, key},
    error::Error,
    replica::{
        call::Answer,
        effect::{Changed, Effect, FieldChange, What, elements, field_value},
        foretold,
        introduction::{self, Introduction},
        made_keys::last_id,
        session::Session,
    },
    store::row,
    types::{Kind, canonical, exact_i64, i64_json},
};

/// A statement that a hook expects, and what it will do.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    statement: Statement,
    table: Arc<Table>,
    /// The row's key; absent when the database makes it.
    key: Option<Vec<Value>>,
    deed: Deed,
    /// The row was written since the hook looked at it, so that the deed may no longer be what the statement does.
    stale: bool,
    /// What it does shows only in the rows.
    compared: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// With the row, as far as it is known before.
    Insert(Option<Row>),
    Update(Changed),
    Delete,
}

impl Announced {
    pub(crate) fn new(statement: Statement, table: Arc<Table>, key: Vec<Value>, deed: Deed) -> Self {
        Self {
            statement,
            table,
            key: Some(key),
            deed,
            stale: false,
            compared: false,
        }
    }

    /// Whether it has been made ready to give a column this value, in a row that was not written since.
    pub(super) fn has_made(&self, table: &Table, column: usize, value: &Value) -> bool {
        let is_given = matches!(&self.deed, Deed::Update(changed) if changed.fields.contains_key(&column));
        let mut values = self.statement.values.iter().flat_map(|values| &values.0);
        is_given && !self.stale && self.table.name == table.name && values.any(|bound| bound == value)
    }

    /// The same write of a table where what it does shows only in its rows: it is captured by comparing them.
    fn compared(self, compared: bool) -> Self {
        Self { compared, ..self }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table.name
    }

    /// Takes note of another write.
    pub(crate) fn overtaken_by(&mut self, table: &Table, key: &[Value]) {
        self.stale |= self.table.name == table.name && self.key.as_ref().is_none_or(|own| own == key);
    }

    /// Itself, unless the row was written meanwhile: then the statement is captured by what it does.
    ///
    /// # Errors
    ///
    /// The statement was made from the row as it was: it would undo the write in between.
    pub(crate) fn unless_stale(self) -> Result<Option<Self>, Error> {
        match &self.deed {
            _ if !self.stale => Ok((!self.compared).then_some(self)),
            Deed::Update(Changed { before: Some(_), .. }) => Err(Error::Uncapturable {
                what: format!(
                    "an update of a row of `{}` that was written while the update was prepared",
                    self.table.name
                ),
                instead: "save active models of one row one after the other".into(),
            }),
            _ => Ok(None),
        }
    }

    /// Whether this is the announced statement; SeaORM may have added what it is to return.
    pub(crate) fn is(&self, statement: &Statement) -> bool {
        let rest = statement.sql.strip_prefix(&self.statement.sql);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" RETURNING "))
            && statement.values == self.statement.values
    }

    /// What the statement will do if it matches a row, as far as it can be told.
    pub(super) fn foreseen(&self) -> Option<Effect> {
        let what = match &self.deed {
            _ if self.is_local() => return None,
            Deed::Insert(row) => What::Born(Some(row.clone()?)),
            Deed::Update(changed) => What::Changed(changed.clone()),
            Deed::Delete => What::Died,
        };
        let key = self.key.clone()?;
        Some(Effect {
            table: self.table.clone(),
            pk: key::of_values(&self.table, &key).ok()?,
            key,
            what,
        })
    }

    /// Whether it changes nothing that is replicated.
    fn is_local(&self) -> bool {
        matches!(&self.deed, Deed::Update(changed) if changed.fields.is_empty())
    }

    /// What the statement did, given its answer.
    pub(crate) fn effect(self, answer: &Answer) -> Result<Option<Effect>, Error> {
        let matched = match answer {
            Answer::Executed(result) => result.rows_affected() > 0,
            Answer::One(_) | Answer::All(_) => !answer.rows().is_empty(),
        };
        if !matched || self.is_local() {
            return Ok(None);
        }
        // A statement that returned only some columns gave no row; it is read later.
        let row: Option<Row> = answer.rows().first().and_then(|row| self.table.decode(row).ok());
        let key = match (&row, self.key) {
            (Some(row), _) => self.table.key.iter().map(|i| row[*i].clone()).collect(),
            (None, Some(key)) => key,
            (None, None) => {
                let id = match answer {
                    Answer::Executed(result) => last_id(&self.table, self.statement.db_backend, result),
                    Answer::One(_) | Answer::All(_) => None,
                };
                let id = id.ok_or_else(|| Error::Uncapturable {
                    what: format!("an insert of `{}` whose key the database makes", self.table.name),
                    instead: "let the statement return the row, or give the key".into(),
                })?;
                vec![id.into()]
            }
        };
        let what = match self.deed {
            Deed::Insert(foretold) => What::Born(row.or(foretold)),
            Deed::Update(changed) => What::Changed(Changed { after: row, ..changed }),
            Deed::Delete => What::Died,
        };
        Ok(Some(Effect {
            pk: key::of_values(&self.table, &key)?,
            table: self.table,
            key,
            what,
        }))
    }

    /// What the statement did that has failed, although it had written its row.
    pub(crate) fn effect_of_failed(self) -> Result<Option<Effect>, Error> {
        if self.is_local() {
            return Ok(None);
        }
        let key = self.key.ok_or_else(|| Error::Uncapturable {
            what: format!(
                "an insert of `{}` whose key the database makes, which failed after it had written its row",
                self.table.name
            ),
            instead: "roll back, or give the key".into(),
        })?;
        let what = match self.deed {
            Deed::Insert(_) => What::Born(None),
            Deed::Update(changed) => What::Changed(changed),
            Deed::Delete => What::Died,
        };
        Ok(Some(Effect {
            pk: key::of_values(&self.table, &key)?,
            table: self.table,
            key,
            what,
        }))
    }
}

/// To be called from `before_save`: announces an insert or update. `#[derive(Crdt)]` does so itself unless told
/// `#[crdt(behavior = "manual")]`.
///
/// Sets are put in canonical order, and counters and sets that remember what was done to them are brought up to date with
/// the row as it is now, so the active model that comes back is the one to go on with.
///
/// # Errors
///
/// The connection is not a replica, the entity is not registered with it, or the write can't be captured.
pub async fn before_save<A, C>(mut active: A, db: &C, insert: bool) -> Result<A, DbErr>
where
    A: ActiveModelBehavior,
    A::Entity: CrdtEntity + EntityTrait<ActiveModel = A>,
    C: ConnectionTrait,
{
    let Some((table, session)) = whom_to_tell::<A::Entity, C>(db)? else {
        return Ok(active);
    };
    let remembered = <A::Entity as CrdtEntity>::remembered(&active);
    // Those of an update that remember their steps are in order, or made anew from what the row holds.
    let made_anew = |name: &str| !insert && session.is_some() && is_among(&remembered, name);
    order_sets(&table, &mut active, made_anew);
    let Some(session) = session else {
        if !insert && !remembered.is_empty() {
            return Err(Error::Uncapturable {
                what: format!(
                    "an update of `{}` through SeaORM's trait method, outside a transaction, with a counter or set that remembers its steps,",
                    table.name
                ),
                instead: "call the active model's own `update` or `save`, or begin a transaction".into(),
            }
            .into());
        }
        return Ok(active);
    };
    if insert {
        let (backend, catalog) = (db.get_database_backend(), session.core.catalog(db).await?);
        if catalog.must_compare(&table.name) {
            return Ok(active);
        }
        // Where the insert does not give it back, or not before it has to be known.
        let is_foretold = !backend.support_returning() || session.goes_along();
        let row = is_foretold.then(|| {
            let given = |column: &Column| column_named::<A>(&column.name).and_then(|c| active.get(c).into_value());
            foretold::row(backend, &catalog, &table, given)
        });
        let statement = A::Entity::insert(active.clone()).build(backend);
        let announced = Announced {
            statement,
            key: key_values(&table, &active),
            table,
            deed: Deed::Insert(row.flatten()),
            stale: false,
            compared: false,
        };
        session.log().announced.push(announced);
        return Ok(active);
    }
    announce_update(&table, &session, &mut active, remembered, db).await?;
    Ok(active)
}

/// To be called from `after_save`.
///
/// # Errors
///
/// None at present.
pub async fn after_save<A, C>(
    model: <A::Entity as EntityTrait>::Model,
    _db: &C,
    _insert: bool,
) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelBehavior,
    A::Entity: CrdtEntity + EntityTrait<ActiveModel = A>,
    C: ConnectionTrait,
{
    Ok(model)
}

/// To be called from `before_delete`: announces a delete.
///
/// # Errors
///
/// As for [`before_save`].
pub async fn before_delete<A, C>(active: A, db: &C) -> Result<A, DbErr>
where
    A: ActiveModelBehavior,
    A::Entity: CrdtEntity + EntityTrait<ActiveModel = A>,
    C: ConnectionTrait,
{
    let Some((table, Some(session))) = whom_to_tell::<A::Entity, C>(db)? else {
        return Ok(active);
    };
    let catalog = session.core.catalog(db).await?;
    let acts = catalog.must_compare(&table.name) || catalog.children_of(&table.name).any(|key| key.on_delete.acts());
    let key = key_values(&table, &active);
    // A delete that takes other rows along is captured by comparing rows, like one that nobody announced.
    if let Some(key) = key
        && !acts
        && let Ok(delete) = A::Entity::delete(active.clone()).validate()
    {
        let statement = delete.build(db.get_database_backend());
        let announced = Announced::new(statement, table, key, Deed::Delete);
        session.log().announced.push(announced);
    }
    Ok(active)
}

/// To be called from `after_delete`.
///
/// # Errors
///
/// None at present.
pub async fn after_delete<A, C>(active: A, _db: &C) -> Result<A, DbErr>
where
    A: ActiveModelBehavior,
    A::Entity: CrdtEntity + EntityTrait<ActiveModel = A>,
    C: ConnectionTrait,
{
    Ok(active)
}

type Addressee = (Arc<Table>, Option<Arc<Session>>);

/// The session that collects what the connection does, `None` within when there is no transaction, `None` without when
/// nothing is to be captured.
fn whom_to_tell<E: CrdtEntity, C: ConnectionTrait>(db: &C) -> Result<Option<Addressee>, Error> {
    let name = E::default().table_name();
    Ok(match introduction::ask(db) {
        Some(Introduction::Untracked) => None,
        Some(Introduction::Replica(core)) => Some((core.registry.require(name)?.clone(), None)),
        Some(Introduction::Transaction(session)) => {
            let table = session.core.registry.require(name)?.clone();
            Some((table, Some(session)))
        }
        None => {
            return Err(Error::Uncapturable {
                what: format!("a write of `{name}` on a connection that is no replica"),
                instead: "pass the `Replica` or its transaction; `replica.untracked()` writes without recording".into(),
            });
        }
    })
}

fn key_values<A: ActiveModelTrait>(table: &Table, active: &A) -> Option<Vec<Value>> {
    table
        .key_columns()
        .map(|column| column_named::<A>(&column.name).and_then(|c| active.get(c).into_value()))
        .collect()
}

fn column_named<A: ActiveModelTrait>(name: &str) -> Option<<A::Entity as EntityTrait>::Column> {
    <A::Entity as EntityTrait>::Column::iter().find(|column| column.as_str() == name)
}

/// Whether a column's value remembers something.
fn is_among<C: IdenStatic>(remembered: &[(C, Remembered)], name: &str) -> bool {
    remembered.iter().any(|(column, _)| column.as_str() == name)
}

/// Puts sets that are about to be written in canonical order, so that the column reads the same on every node; but for those
/// that are made anew.
fn order_sets<A: ActiveModelTrait>(table: &Table, active: &mut A, made_anew: impl Fn(&str) -> bool) {
    for (_, field, kind) in table.replicated() {
        let Some(column) = column_named::<A>(&field.name) else {
            continue;
        };
        if kind == Kind::Set
            && !made_anew(&field.name)
            && let ActiveValue::Set(Value::Json(Some(json))) = active.get(column)
            && let Json::Array(values) = *json
        {
            let given = Json::Array(values.clone());
            let mut ordered = values;
            ordered.sort_by_cached_key(canonical);
            ordered.dedup();
            let ordered = Json::Array(ordered);
            if ordered != given {
                active.set(column, Value::Json(Some(Box::new(ordered))));
            }
        }
    }
}

async fn announce_update<A, C>(
    table: &Arc<Table>,
    session: &Session,
    active: &mut A,
    remembered: Vec<(<A::Entity as EntityTrait>::Column, Remembered)>,
    db: &C,
) -> Result<(), DbErr>
where
    A: ActiveModelTrait,
    C: ConnectionTrait,
{
    let Some(key) = key_values(table, active) else {
        return Ok(());
    };
    let (backend, catalog) = (db.get_database_backend(), session.core.catalog(db).await?);
    let (mut fields, mut given) = (BTreeMap::new(), BTreeMap::new());
    let (mut any, mut is_compared) = (false, catalog.must_compare(&table.name));
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let Some((index, field)) = table.column(column.as_str()) else {
            continue;
        };
        // What remembers steps is set; to look at a large set takes long.
        let is_set = is_among(&remembered, &field.name) || matches!(active.get(column), ActiveValue::Set(_));
        let is_set = is_set && !field.is_key();
        any |= is_set;
        match field.kind() {
            Some(Kind::Lww) if is_set || catalog.is_generated(&table.name, &field.name) => {
                fields.insert(index, FieldChange::Assigned);
                if let ActiveValue::Set(value) = active.get(column)
                    && foretold::is_bound_as_it_is(field, &value)
                    && foretold::keeps(backend, &catalog, table, field, &value)
                {
                    given.insert(index, value);
                }
            }
            Some(Kind::Counter | Kind::Set) if is_set => {
                fields.insert(index, FieldChange::MadeSo);
            }
            _ => {}
        }
        let cascades = |key: &&crate::store::catalog::ForeignKey| {
            let mut columns = key.parent_columns.iter();
            key.on_update.acts() && columns.any(|column| column.eq_ignore_ascii_case(&field.name))
        };
        // The statement changes other rows behind it.
        is_compared |= is_set && catalog.children_of(&table.name).any(|key| cascades(&key));
    }
    if !any {
        // SeaORM sends no statement when nothing is set.
        return Ok(());
    }
    let mut changed = Changed {
        fields,
        given,
        ..Changed::default()
    };
    if changed.fields.values().any(|change| *change == FieldChange::MadeSo) {
        catch_up(table, &key, active, remembered, &mut changed, db).await?;
    }
    let update = A::Entity::update(active.clone()).validate()?;
    let statement = update.build(backend);
    let announced = Announced::new(statement, table.clone(), key, Deed::Update(changed));
    let announced = announced.compared(is_compared);
    session.log().announced.push(announced);
    Ok(())
}

/// Reads the row under lock and applies the operations that are remembered of it to what it holds now. What is remembered of
/// another row is left as it is: the field is to become what that one holds.
async fn catch_up<A, C>(
    table: &Table,
    key: &[Value],
    active: &mut A,
    remembered: Vec<(<A::Entity as EntityTrait>::Column, Remembered)>,
    changed: &mut Changed,
    db: &C,
) -> Result<(), DbErr>
where
    A: ActiveModelTrait,
    C: ConnectionTrait,
{
    let rows = row::read(db, table, &[key.to_vec()]).await?;
    let Some(row) = rows.into_values().next() else {
        // The update will match nothing.
        return Ok(());
    };
    for (column, Remembered { operation, origin }) in remembered {
        let Some((index, field)) = table.column(column.as_str()) else {
            continue;
        };
        if origin.is_some_and(|origin| origin.is_not(table, &row)) {
            continue;
        }
        let now = field_value(table, &row, index)?;
        let (value, change) = match operation {
            Operation::Increment(by) => {
                let moved = exact_i64(&now).and_then(|now| now.checked_add(by));
                let moved = moved.ok_or_else(|| Error::CounterOverflow {
                    table: table.name.clone(),
                    pk: key::of_row(table, &row).unwrap_or_default(),
                    field: field.name.clone(),
                })?;
                (i64_json(moved), FieldChange::Moved(by))
            }
            Operation::Elements(steps) => {
                let mut elements = elements(table, index, &now)?;
                for step in &steps {
                    match step {
                        SetStep::Add(value) => {
                            elements.insert(canonical(value), value.clone());
                        }
                        SetStep::Remove(value) => drop(elements.remove(&canonical(value))),
                    }
                }
                let value = elements.into_values().collect();
                (value, FieldChange::Steps(steps))
            }
        };
        let value = field
            .decode(&value)
            .map_err(|detail| table.value_error(&field.name, detail))?;
        active.try_set(column, value)?;
        changed.fields.insert(index, change);
    }
    changed.before = Some(row);
    Ok(())
}
