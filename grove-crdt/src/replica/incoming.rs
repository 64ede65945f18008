//! Changes on their way in, and what hooks make of them.

use std::borrow::Cow;

use crate::{
    change::{self, Change, Omitted, Rejection, RejectionCode},
    entity::Table,
    replica::{
        Core, HookError, MergeEvent, Peer,
        judge::{Judged, judge},
        merge::MergeReport,
    },
    store::shadow::{Content, Part, Stored},
    types::{self, CellKey, Kind, Record},
};

/// A change that is to be merged.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    /// Its place in the page.
    pub index: usize,
    /// What its writer wrote.
    pub change: types::Change,
    /// What is taken in its place.
    pub altered: Option<types::Change>,
    /// The change as hooks have left it, when they have altered it.
    told: Option<Box<Change>>,
}

/// A change that has been merged: what hooks are told of afterwards.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    index: usize,
    local: Option<Change>,
    remote: Change,
    result: Option<Change>,
}

/// Where a page comes from.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub peer: &'a Peer,
    pub changes: &'a [Change],
    /// Names the replica it came from, so that it is not sent back there. Empty when that is not known.
    pub from: &'a str,
}

/// The changes of one record that are taken as they came, by their places.
pub(super) struct Sent<'a> {
    from: &'a str,
    changes: Vec<(Option<&'a CellKey>, &'a types::Change)>,
}

impl<'a> Sent<'a> {
    pub(super) fn of(page: Page<'a>, changes: &'a [Incoming]) -> Self {
        let unaltered = changes.iter().filter(|incoming| incoming.altered.is_none());
        let placed = unaltered.map(|incoming| match &incoming.change {
            types::Change::Head(_) => (None, &incoming.change),
            types::Change::Cell(key, _) => (Some(key), &incoming.change),
        });
        // Where it came from is not known: nothing is looked up.
        let mut changes: Vec<_> = placed.filter(|_| !page.from.is_empty()).collect();
        changes.sort_by_key(|(place, _)| *place);
        Self {
            from: page.from,
            changes,
        }
    }

    /// The peer that sent a part of the record as it is now.
    pub(super) fn by(&self, part: Part<'_>) -> Option<String> {
        let place = match part {
            Part::Head(_) => None,
            Part::Cell(key, _) => Some(key),
        };
        let first = self.changes.partition_point(|(other, _)| *other < place);
        let mut here = self.changes[first..].iter().take_while(|(other, _)| *other == place);
        let is_same = |(_, change): &(_, &types::Change)| match (change, part) {
            (types::Change::Head(theirs), Part::Head(mine)) => theirs == mine,
            (types::Change::Cell(_, theirs), Part::Cell(_, mine)) => theirs == mine,
            _ => false,
        };
        here.any(is_same).then(|| self.from.to_owned())
    }
}

/// Judges a change, and asks the hooks about it. `None` when it is not to be merged, and the report says why.
pub(super) async fn receive(
    core: &Core,
    page: Page<'_>,
    index: usize,
    report: &mut MergeReport,
) -> Option<(std::sync::Arc<Table>, String, Incoming)> {
    let change = &page.changes[index];
    let Judged { table, pk, change } = match judge(core, change) {
        Ok(judged) => judged,
        Err((code, message)) => {
            report.rejected.push(Rejection::new(index, code, message));
            return None;
        }
    };
    if let Some(detail) = too_large(&table, &page.changes[index]) {
        tracing::warn!(table = table.name, pk, "{detail}: see `max_allowed_packet`");
        report.foreseen.insert(index);
        let rejection = Rejection::new(index, RejectionCode::Unstorable, detail);
        report.rejected.push(rejection);
        return None;
    }
    let mut incoming = Incoming {
        index,
        change,
        altered: None,
        told: None,
    };
    if !core.hooks.is_empty() {
        let passed = core.hooks.before_inbound(page.peer, page.changes[index].clone()).await;
        incoming = settle(core, page, incoming, passed, report)?;
    }
    Some((table, pk, incoming))
}

/// That a change is larger than the database takes in one statement: it would end the connection.
fn too_large(table: &Table, change: &Change) -> Option<String> {
    let room = table.room?;
    if change.at_most() <= room {
        return None;
    }
    let bytes = change::size(change);
    let detail = || {
        format!(
            "{}, more than the database here takes at once",
            Omitted::of(change, bytes).describe()
        )
    };
    (bytes > room).then(detail)
}

/// Asks the hooks about the changes of one record, now that its state is known. Costs nothing when there are none.
pub(super) async fn before_merge<'a>(
    core: &Core,
    page: Page<'_>,
    table: &Table,
    before: &Record,
    pk: &str,
    incoming: &'a [Incoming],
    report: &mut MergeReport,
) -> Cow<'a, [Incoming]> {
    if core.hooks.is_empty() {
        return Cow::Borrowed(incoming);
    }
    let mut passing = Vec::with_capacity(incoming.len());
    for incoming in incoming {
        let local = state(table, pk, before, &incoming.change);
        let remote = incoming.told(page).clone();
        let passed = core.hooks.before_merge(page.peer, remote, local.as_ref()).await;
        passing.extend(settle(core, page, incoming.clone(), passed, report));
    }
    Cow::Owned(passing)
}

/// What hooks are to be told of a change that has been merged.
pub(super) fn taken(page: Page<'_>, table: &Table, pk: &str, states: [&Record; 2], incoming: &Incoming) -> Taken {
    let [local, result] = states.map(|record| state(table, pk, record, &incoming.change));
    Taken {
        index: incoming.index,
        remote: incoming.told(page).clone(),
        local,
        result,
    }
}

/// Tells the hooks what has been merged, in the order of the page.
pub(super) async fn after_merge(core: &Core, peer: &Peer, mut taken: Vec<Taken>) {
    taken.sort_by_key(|taken| taken.index);
    for Taken {
        local, remote, result, ..
    } in &taken
    {
        let event = MergeEvent {
            local: local.as_ref(),
            remote,
            result: result.as_ref(),
        };
        core.hooks.after_merge(peer, event).await;
        core.hooks.after_inbound(peer, remote).await;
    }
}

impl Incoming {
    /// The change as hooks see it.
    fn told<'a>(&'a self, page: Page<'a>) -> &'a Change {
        self.told.as_deref().unwrap_or(&page.changes[self.index])
    }
}

/// Takes down what the hooks said of a change. `None` when it goes no further.
fn settle(
    core: &Core,
    page: Page<'_>,
    mut incoming: Incoming,
    passed: Result<Option<Change>, HookError>,
    report: &mut MergeReport,
) -> Option<Incoming> {
    let index = incoming.index;
    let altered = match passed {
        Ok(Some(change)) if change == *incoming.told(page) => return Some(incoming),
        Ok(Some(change)) => {
            alteration(core, &page.changes[index], &incoming.change, &change).map(|altered| (altered, change))
        }
        Ok(None) => {
            report.skipped += 1;
            report.skipped_at.insert(index);
            return None;
        }
        Err(error) => Err(error),
    };
    match altered {
        Ok((altered, change)) => {
            incoming.altered = altered;
            incoming.told = Some(Box::new(change));
            Some(incoming)
        }
        Err(error) => {
            report.rejected.push(error.rejection(index));
            None
        }
    }
}

/// What `change` makes of the `original`, which was judged to be `judged`; `None` when it says the same after all.
fn alteration(
    core: &Core,
    original: &Change,
    judged: &types::Change,
    change: &Change,
) -> Result<Option<types::Change>, HookError> {
    let same_but_value = change.is_same_write(original)
        && change.counter == original.counter
        && change.set == original.set
        && change.tombstone == original.tombstone;
    if !same_but_value {
        return Err(not_to_be_altered());
    }
    let altered = match judge(core, change) {
        Ok(altered) => altered.change,
        Err((_, message)) => {
            // It speaks of what the hook wrote, which may be no business of the peer's.
            tracing::error!("what a hook made of a change can't be taken: {message}");
            return Err(HookError::misused(
                "a hook altered the change into one that can't be taken; the log of that replica says why",
            ));
        }
    };
    if altered == *judged {
        return Ok(None);
    }
    if differs_in_lww_only(judged, &altered) {
        Ok(Some(altered))
    } else {
        Err(not_to_be_altered())
    }
}

fn not_to_be_altered() -> HookError {
    HookError::misused(
        "a hook altered more of the change than the values of `lww` fields: what counters and sets hold is their writers', and a birth keeps its fields",
    )
}

fn differs_in_lww_only(original: &types::Change, altered: &types::Change) -> bool {
    match (original, altered) {
        (types::Change::Cell(_, cell), types::Change::Cell(_, altered)) => {
            cell.state.kind() == Kind::Lww && altered.state.kind() == Kind::Lww
        }
        (types::Change::Head(head), types::Change::Head(altered)) => {
            let (Some(given), Some(wanted)) = (&head.birth, &altered.birth) else {
                return false;
            };
            let kept = given.keys().all(|field| wanted.contains_key(field));
            kept && wanted.iter().all(|(field, wanted)| match given.get(field) {
                Some(given) => given.kind == wanted.kind && (given.kind == Kind::Lww || given.value == wanted.value),
                None => wanted.kind == Kind::Lww,
            })
        }
        _ => false,
    }
}

/// What a record has at the place of a change, in the form in which it travels.
fn state(table: &Table, pk: &str, record: &Record, change: &types::Change) -> Option<Change> {
    let (key, content) = match change {
        types::Change::Head(_) => (CellKey::new("", ""), Content::Head(record.head()?.clone())),
        types::Change::Cell(key, _) => (key.clone(), Content::Cell(record.at(key)?)),
    };
    let stored = Stored {
        pk: pk.to_owned(),
        key,
        content,
    };
    Some(stored.into_change(table))
}
