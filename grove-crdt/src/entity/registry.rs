use std::{collections::BTreeMap, sync::Arc};

use crate::{entity::Table, error::Error};

/// The tables a replica was opened with, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: BTreeMap<String, Arc<Table>>,
    /// The shadows in the database that belong to other tables, and share its versions.
    other_shadows: Vec<String>,
    /// See [`Table::room`].
    room: Option<usize>,
}

impl Registry {
    /// # Errors
    ///
    /// Two entities of one name: on the wire they could not be told apart.
    pub(crate) fn new(tables: impl IntoIterator<Item = Table>) -> Result<Self, Error> {
        let mut by_name = BTreeMap::new();
        for table in tables {
            let name = table.name.clone();
            if by_name.insert(name.clone(), Arc::new(table)).is_some() {
                return Err(Error::Schema {
                    table: name,
                    detail: "two entities have this table name; replicated tables need different ones".into(),
                });
            }
        }
        Ok(Self {
            tables: by_name,
            other_shadows: Vec::new(),
            room: None,
        })
    }

    /// Notes how many bytes the values of a statement may have. To be called before anybody else has the tables.
    pub(crate) fn note_room(&mut self, room: Option<usize>) {
        self.room = room;
        for table in self.tables.values_mut().filter_map(Arc::get_mut) {
            table.room = room;
        }
    }

    /// See [`Table::room`].
    pub(crate) fn room(&self) -> Option<usize> {
        self.room
    }

    /// Notes which shadows the database has beside those of these tables.
    pub(crate) fn note_other_shadows(&mut self, names: Vec<String>) {
        self.other_shadows = names;
    }

    pub(crate) fn other_shadows(&self) -> &[String] {
        &self.other_shadows
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// The table, or an error that says it was not registered.
    pub(crate) fn require(&self, name: &str) -> Result<&Arc<Table>, Error> {
        self.get(name)
            .ok_or_else(|| Error::NotRegistered { table: name.to_owned() })
    }

    /// The tables in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }
}
