use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    clock::Hlc,
    types::{
        Cell, CellKey, Element, Kind, State, Totals,
        counter::checked_value,
        json::{self, canonical, exact_i64},
        set::{element_key, element_key_of},
    },
};

/// The values a record was born with, by field.
pub(crate) type Birth = BTreeMap<String, BirthValue>;

/// One value given at birth. The kind stands beside it, so that a node which does not know the field yet can merge it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BirthValue {
    pub kind: Kind,
    pub value: Json,
}

/// The head cell: whether the record lives, and what it was born with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub epoch: u32,
    pub hlc: Hlc,
    /// Present when the epoch is odd.
    pub birth: Option<Birth>,
}

/// One unit of merging, as it travels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Head(Head),
    Cell(CellKey, Cell),
}

/// The whole state of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    head: Option<Head>,
    cells: BTreeMap<CellKey, Cell>,
}

impl Record {
    /// A record as it was stored.
    pub(crate) fn stored(head: Option<Head>, cells: BTreeMap<CellKey, Cell>) -> Self {
        Self { head, cells }
    }

    pub(crate) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    pub(crate) fn cells(&self) -> &BTreeMap<CellKey, Cell> {
        &self.cells
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.birth.is_some())
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.head.as_ref().map_or(0, |head| head.epoch)
    }

    /// The newest clock value in the record.
    pub(crate) fn clock(&self) -> Option<&Hlc> {
        let cells = self.cells.values().map(|cell| &cell.hlc);
        self.head.iter().map(|head| &head.hlc).chain(cells).max()
    }

    /// Joins what came from elsewhere. The representation is normal again when this returns.
    pub(crate) fn merge(&mut self, changes: impl IntoIterator<Item = Change>) {
        let mut is_normal = true;
        for change in changes {
            match change {
                Change::Head(head) => {
                    self.merge_head(head);
                    is_normal = false;
                }
                // To go through what a birth adds to a set once for all cells is better than once for each.
                Change::Cell(key, cell) if self.is_born_with_elements(&key.field) => {
                    self.merge_cell(key, cell);
                    is_normal = false;
                }
                Change::Cell(key, cell) => self.join_cell(key, cell),
            }
        }
        if !is_normal {
            self.normalise();
        }
    }

    /// Joins another state of the same record, or a part of one.
    pub(crate) fn join(&mut self, other: &Self) {
        let head = other.head.clone().map(Change::Head);
        let cells = other
            .cells
            .iter()
            .map(|(key, cell)| Change::Cell(key.clone(), cell.clone()));
        self.merge(head.into_iter().chain(cells));
    }

    fn is_born_with_elements(&self, field: &str) -> bool {
        let born = self.head.as_ref().and_then(|head| head.birth.as_ref()?.get(field));
        born.is_some_and(|born| born.kind == Kind::Set && born.value.as_array().is_some_and(|all| !all.is_empty()))
    }

    /// Joins one cell, in the normal form of its place; other places don't depend on it.
    fn join_cell(&mut self, key: CellKey, mut theirs: Cell) {
        if let Some(mine) = self.cells.get_mut(&key) {
            // It has the birth's contribution in it already, and more.
            mine.join(&key.cell, theirs);
            return;
        }
        if let Some(head) = self.head.as_ref().filter(|head| head.epoch >= theirs.epoch) {
            if head.epoch > theirs.epoch || head.birth.is_none() {
                return;
            }
            if let Some(born) = contribution_to(head, &key) {
                theirs.join(&key.cell, born.clone());
                if theirs == born {
                    return;
                }
            }
        }
        self.cells.insert(key, theirs);
    }

    fn merge_head(&mut self, theirs: Head) {
        let Some(mine) = &mut self.head else {
            self.head = Some(theirs);
            return;
        };
        if theirs.epoch != mine.epoch {
            if theirs.epoch > mine.epoch {
                *mine = theirs;
            }
            return;
        }
        let ours = mine.clone();
        match (&mut mine.birth, &theirs.birth) {
            (Some(birth), Some(other)) if ours.hlc == theirs.hlc => {
                for (field, value) in other {
                    birth
                        .entry(field.clone())
                        .and_modify(|mine| join_birth_value(mine, value))
                        .or_insert_with(|| value.clone());
                }
            }
            _ if theirs.hlc > ours.hlc => *mine = theirs.clone(),
            _ => {}
        }
        // What the head holds is in its contributions too; the normal form drops what is said twice.
        for (key, cell) in contributions(&ours).chain(contributions(&theirs)) {
            self.merge_cell(key, cell);
        }
    }

    /// Joins one cell, whatever the birth contributes to its place.
    fn merge_cell(&mut self, key: CellKey, cell: Cell) {
        match self.cells.get_mut(&key) {
            Some(mine) => mine.join(&key.cell, cell),
            None => drop(self.cells.insert(key, cell)),
        }
    }

    /// Brings the cells into the one form that the module's invariants describe.
    fn normalise(&mut self) {
        let Some(head) = &self.head else { return };
        let epoch = head.epoch;
        let alive = head.birth.is_some();
        self.cells
            .retain(|_, cell| cell.epoch > epoch || (alive && cell.epoch == epoch));
        if self.cells.is_empty() {
            return;
        }
        for (key, born) in contributions(head) {
            let Some(cell) = self.cells.get_mut(&key) else {
                continue;
            };
            if cell.epoch == epoch {
                cell.join(&key.cell, born.clone());
                if *cell == born {
                    self.cells.remove(&key);
                }
            }
        }
    }

    // ---- What a local writer does. `at` is above every clock value of the record. ----

    /// The row came into being with these values.
    pub(crate) fn born(&mut self, at: &Hlc, birth: Birth) {
        let epoch = match self.epoch() {
            epoch if epoch % 2 == 1 => epoch,
            epoch => epoch + 1,
        };
        self.merge([Change::Head(Head {
            epoch,
            hlc: at.clone(),
            birth: Some(birth),
        })]);
    }

    /// The row was there before it was replicated: a write that every real one beats.
    pub(crate) fn adopted(&mut self, birth: Birth) {
        if self.is_alive() {
            let head = Head {
                epoch: self.epoch(),
                hlc: Hlc::baseline(),
                birth: Some(birth),
            };
            let cells: Vec<_> = contributions(&head).collect();
            self.merge(cells.into_iter().map(|(key, cell)| Change::Cell(key, cell)));
        } else {
            self.born(&Hlc::baseline(), birth);
        }
    }

    /// The row is gone. One that was never recorded counts as adopted before.
    pub(crate) fn died(&mut self, at: &Hlc) {
        let epoch = match self.epoch() {
            0 => 2,
            epoch if epoch % 2 == 1 => epoch + 1,
            epoch => epoch,
        };
        self.merge([Change::Head(Head {
            epoch,
            hlc: at.clone(),
            birth: None,
        })]);
    }

    /// An `lww` field was written.
    pub(crate) fn assign(&mut self, field: &str, at: &Hlc, value: Json) {
        self.write(CellKey::new(field, ""), at, State::Lww(value));
    }

    /// A counter was moved by this node. `None` when a total would leave its range.
    #[must_use]
    pub(crate) fn increment(&mut self, field: &str, at: &Hlc, by: i64) -> Option<()> {
        let key = CellKey::new(field, at.node.as_str());
        let before = match self.current(&key).map(|cell| cell.state) {
            Some(State::Counter(totals)) => totals,
            _ => Totals::default(),
        };
        let totals = before.plus(by)?;
        self.write(key, at, State::Counter(totals));
        Some(())
    }

    /// An element was added by this node.
    pub(crate) fn insert(&mut self, field: &str, at: &Hlc, value: Json) {
        let key = CellKey::new(field, element_key(&value));
        self.write(key, at, State::Set(Element::added(value, at)));
    }

    /// Every addition of the element seen so far was removed.
    pub(crate) fn remove(&mut self, field: &str, at: &Hlc, value: &Json) {
        let key = CellKey::new(field, element_key(value));
        if let Some(State::Set(mut element)) = self.current(&key).map(|cell| cell.state) {
            element.remove();
            self.write(key, at, State::Set(element));
        }
    }

    fn write(&mut self, key: CellKey, at: &Hlc, state: State) {
        let cell = Cell {
            epoch: self.epoch(),
            hlc: at.clone(),
            state,
        };
        self.join_cell(key, cell);
    }

    /// What is at a place: its cell, be it one that waits for its head, or what the birth contributes.
    pub(crate) fn at(&self, key: &CellKey) -> Option<Cell> {
        self.cells.get(key).cloned().or_else(|| self.current(key))
    }

    /// Whether the living record has something newer than `hlc` in an `lww` field.
    pub(crate) fn is_overwritten(&self, field: &str, hlc: &Hlc) -> bool {
        let (born, mut cells) = self.parts(field);
        let written = cells.find(|(key, _)| key.cell.is_empty()).map(|(_, cell)| &cell.hlc);
        let born = born
            .filter(|born| born.value.kind == Kind::Lww)
            .map(|born| &born.head.hlc);
        written.or(born).is_some_and(|mine| mine > hlc)
    }

    /// The state at a place of the living record: its cell, or what its birth contributes.
    pub(crate) fn current(&self, key: &CellKey) -> Option<Cell> {
        let head = self.head.as_ref()?;
        match self.cells.get(key) {
            Some(cell) if cell.epoch == head.epoch => Some(cell.clone()),
            _ => contribution_to(head, key),
        }
    }

    // ---- What a reader sees ----

    /// The element at a place of a set, if it is present.
    pub(crate) fn element(&self, key: &CellKey) -> Option<Json> {
        match self.current(key)?.state {
            State::Set(element) if element.is_present() => Some(element.value),
            _ => None,
        }
    }

    /// What the birth of the living record gave to a field, and the cells that the field has besides.
    fn parts<'a>(&'a self, field: &'a str) -> (Option<Born<'a>>, impl Iterator<Item = (&'a CellKey, &'a Cell)>) {
        let head = self.head.as_ref().filter(|head| head.birth.is_some());
        let born = head.and_then(|head| {
            let value = head.birth.as_ref()?.get(field)?;
            Some(Born { head, value })
        });
        let cells = head.map(|head| {
            let cells = self.cells.range(CellKey::new(field, "")..);
            let cells = cells.take_while(move |(key, _)| key.field == field);
            cells.filter(|(_, cell)| cell.epoch == head.epoch)
        });
        (born, cells.into_iter().flatten())
    }

    /// The states of a field of the living record, by cell key.
    pub(crate) fn field(&self, field: &str) -> BTreeMap<String, Cell> {
        let (born, cells) = self.parts(field);
        let born = born.into_iter().flat_map(|born| contribution_of(born.head, field));
        let mut states: BTreeMap<_, _> = born.map(|(key, cell)| (key.cell, cell)).collect();
        states.extend(cells.map(|(key, cell)| (key.cell.clone(), cell.clone())));
        states
    }

    /// Whether the record says anything about the field.
    pub(crate) fn knows(&self, field: &str) -> bool {
        let (born, mut cells) = self.parts(field);
        born.is_some() || cells.next().is_some()
    }

    /// The field's value, `None` when the record says nothing about it.
    ///
    /// # Errors
    ///
    /// A counter whose value leaves the range of `i64`.
    pub(crate) fn value(&self, field: &str, kind: Kind) -> Result<Option<Json>, Overflow> {
        let (born, cells) = self.parts(field);
        let cells: Vec<_> = cells.collect();
        if born.is_none() && cells.is_empty() {
            return Ok(None);
        }
        // Where there is a cell, it says what the birth says and more.
        let is_covered = |place: &str| cells.binary_search_by(|(key, _)| key.cell.as_str().cmp(place)).is_ok();
        let born = born.filter(|born| born.value.kind == kind);
        let states = cells.iter().map(|(_, cell)| &cell.state);
        Ok(match kind {
            Kind::Lww => {
                let born = born.filter(|_| !is_covered("")).map(|born| &born.value.value);
                let mut written = states.filter_map(|state| match state {
                    State::Lww(value) => Some(value),
                    _ => None,
                });
                written.next_back().or(born).cloned()
            }
            Kind::Counter => {
                let born = born.filter(|born| !is_covered(born.head.hlc.node.as_str()));
                let born = born.map(|born| Totals::of(exact_i64(&born.value.value).unwrap_or_default()));
                let totals = states.filter_map(|state| match state {
                    State::Counter(totals) => Some(*totals),
                    _ => None,
                });
                Some(json::i64_json(checked_value(totals.chain(born)).ok_or(Overflow)?))
            }
            Kind::Set => {
                let born = born.and_then(|born| born.value.value.as_array()).into_iter().flatten();
                let born = born.map(|value| (canonical(value), value));
                let born = born.filter(|(text, _)| !is_covered(&element_key_of(text)));
                let added = states.filter_map(|state| match state {
                    State::Set(element) if element.is_present() => Some((canonical(&element.value), &element.value)),
                    _ => None,
                });
                let present: BTreeMap<_, _> = born.chain(added).collect();
                Some(Json::Array(present.into_values().cloned().collect()))
            }
        })
    }
}

/// What a birth gave to a field.
#[derive(Clone, Copy)]
struct Born<'a> {
    head: &'a Head,
    value: &'a BirthValue,
}

/// A counter's value left the range of `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// The cells that a birth stands for.
fn contributions(head: &Head) -> impl Iterator<Item = (CellKey, Cell)> + '_ {
    let fields = head.birth.iter().flat_map(|birth| birth.keys());
    fields.flat_map(|field| contribution_of(head, field))
}

fn contribution_of(head: &Head, field: &str) -> Vec<(CellKey, Cell)> {
    let Some(born) = head.birth.as_ref().and_then(|birth| birth.get(field)) else {
        return Vec::new();
    };
    let cell = |place: String, state| (CellKey::new(field, place), contributed(head, state));
    match (born.kind, &born.value) {
        (Kind::Lww, value) => vec![cell(String::new(), State::Lww(value.clone()))],
        (Kind::Counter, value) => vec![cell(head.hlc.node.to_string(), born_totals(value))],
        (Kind::Set, value) => {
            let elements = value.as_array().into_iter().flatten();
            elements
                .map(|value| cell(element_key(value), born_element(head, value)))
                .collect()
        }
    }
}

/// The one of these cells that is at a place.
fn contribution_to(head: &Head, key: &CellKey) -> Option<Cell> {
    let born = head.birth.as_ref()?.get(&key.field)?;
    let state = match (born.kind, &born.value) {
        (Kind::Lww, value) => key.cell.is_empty().then(|| State::Lww(value.clone())),
        (Kind::Counter, value) => (key.cell == head.hlc.node.as_str()).then(|| born_totals(value)),
        (Kind::Set, value) => {
            let mut elements = value.as_array()?.iter();
            let element = elements.find(|value| element_key(value) == key.cell)?;
            Some(born_element(head, element))
        }
    };
    state.map(|state| contributed(head, state))
}

fn contributed(head: &Head, state: State) -> Cell {
    Cell {
        epoch: head.epoch,
        hlc: head.hlc.clone(),
        state,
    }
}

fn born_totals(value: &Json) -> State {
    State::Counter(Totals::of(exact_i64(value).unwrap_or_default()))
}

fn born_element(head: &Head, value: &Json) -> State {
    State::Set(Element::added(value.clone(), &head.hlc))
}

/// Joins the values that two births with one clock give to a field.
fn join_birth_value(mine: &mut BirthValue, theirs: &BirthValue) {
    match (mine.kind, theirs.kind) {
        (Kind::Set, Kind::Set) => {
            let elements = [&mine.value, &theirs.value]
                .into_iter()
                .filter_map(Json::as_array)
                .flatten();
            let union: BTreeMap<_, _> = elements.map(|value| (canonical(value), value)).collect();
            mine.value = Json::Array(union.into_values().cloned().collect());
        }
        (kind, other) if kind == other => {
            if json::compare(&theirs.value, &mine.value).is_gt() {
                mine.value = theirs.value.clone();
            }
        }
        (kind, other) => {
            if other > kind {
                *mine = theirs.clone();
            }
        }
    }
}
