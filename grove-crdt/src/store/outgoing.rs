//! Stored cells in the form in which they travel.

use serde_json::Value as Json;

use crate::{
    change::Change,
    clock::Hlc,
    entity::Table,
    store::shadow::{Content, Stored},
    types::{Kind, State, birth_json, tags_json},
};

impl Stored {
    /// The cell as a change.
    pub(crate) fn into_change(self, table: &Table) -> Change {
        let place = (self.pk, self.key.field.into(), self.key.cell.into());
        match self.content {
            Content::Head(head) => {
                let mut change = bare(table, place, head.epoch, head.hlc);
                hold_birth(&mut change, head.birth.as_deref().map(birth_json));
                change
            }
            Content::Cell(cell) => {
                let mut change = bare(table, place, cell.epoch, cell.hlc);
                hold(&mut change, cell.state);
                change
            }
        }
    }
}

/// A stored cell, its state still in the form in which it is stored.
pub(in crate::store) struct Plain {
    pub pk: String,
    pub field: String,
    pub cell: String,
    pub epoch: u32,
    pub hlc: Hlc,
    pub state: Json,
}

impl Plain {
    /// Whether a state of this kind travels as it is stored.
    pub(in crate::store) fn travels_as_it_is(&self, known: Option<Kind>) -> bool {
        self.field.is_empty() || known == Some(Kind::Lww)
    }

    /// The change that the cell is, when its state [travels as it is](Self::travels_as_it_is).
    pub(in crate::store) fn into_change(self, table: &Table) -> Change {
        let is_head = self.field.is_empty();
        let mut change = bare(table, (self.pk, self.field, self.cell), self.epoch, self.hlc);
        if is_head {
            hold_birth(&mut change, Some(self.state).filter(|birth| !birth.is_null()));
        } else {
            hold(&mut change, State::Lww(self.state));
        }
        change
    }
}

/// A change without a value.
fn bare(table: &Table, (pk, field, cell): (String, String, String), epoch: u32, hlc: Hlc) -> Change {
    Change {
        table: table.name.clone(),
        pk,
        field,
        cell,
        crdt_type: "record".into(),
        epoch,
        node_id: hlc.node.clone(),
        hlc,
        value: None,
        counter: None,
        set: None,
        tombstone: false,
    }
}

fn hold_birth(change: &mut Change, birth: Option<Json>) {
    change.tombstone = birth.is_none();
    change.value = birth;
}

fn hold(change: &mut Change, state: State) {
    change.crdt_type = state.kind().as_str().into();
    match state {
        State::Lww(value) => change.value = Some(value),
        State::Counter(totals) => change.counter = serde_json::to_value(totals).ok(),
        State::Set(element) => {
            change.tombstone = !element.is_present();
            change.set = Some(tags_json(&element));
            change.value = Some(element.value);
        }
    }
}
