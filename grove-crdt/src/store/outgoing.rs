//! Stored cells in the form in which they travel.

use crate::{
    change::Change,
    entity::Table,
    store::shadow::{Content, Stored},
    types::{State, birth_json, tags_json},
};

impl Stored {
    /// The cell as a change.
    pub(crate) fn into_change(self, table: &Table) -> Change {
        let (epoch, hlc) = match &self.content {
            Content::Head(head) => (head.epoch, head.hlc.clone()),
            Content::Cell(cell) => (cell.epoch, cell.hlc.clone()),
        };
        let mut change = Change {
            table: table.name.clone(),
            pk: self.pk,
            field: self.key.field,
            cell: self.key.cell,
            crdt_type: "record".into(),
            epoch,
            node_id: hlc.node.clone(),
            hlc,
            value: None,
            counter: None,
            set: None,
            tombstone: false,
        };
        match self.content {
            Content::Head(head) => {
                change.tombstone = head.birth.is_none();
                change.value = head.birth.as_ref().map(birth_json);
            }
            Content::Cell(cell) => hold(&mut change, cell.state),
        }
        change
    }
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
