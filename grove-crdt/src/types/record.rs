use std::{
    cmp::Ordering,
    collections::BTreeMap,
    iter::Peekable,
    ops::Bound::{Included, Unbounded},
    sync::Arc,
};

use serde_json::Value as Json;

use crate::{
    clock::Hlc,
    types::{
        Birth, Cell, CellKey, Element, Head, Kind, State, Totals,
        birth::{Born, contribution_of, contribution_to, contributions, join_birth_value},
        counter::sum,
        json::{self, canonical, exact_i64},
        places::Places,
        set::{element_key, element_key_of},
    },
};

/// One unit of merging, as it travels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Head(Head),
    Cell(CellKey, Cell),
}

/// How many cells are passed over before it is better to look a place up.
const FEW: usize = 8;

/// The whole state of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    head: Option<Head>,
    cells: BTreeMap<CellKey, Cell>,
    /// Of the elements in the head.
    places: Places,
}

impl Record {
    /// A record as it was stored.
    pub(crate) fn stored(head: Option<Head>, cells: BTreeMap<CellKey, Cell>) -> Self {
        Self {
            head,
            cells,
            places: Places::default(),
        }
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
        let mut changes = changes.into_iter().peekable();
        while let Some(change) = changes.next() {
            match change {
                // What comes again changes nothing.
                Change::Head(head) if self.head.as_ref().is_some_and(|mine| mine.is_same(&head)) => {}
                Change::Head(head) => {
                    self.merge_head(head);
                    is_normal = false;
                }
                Change::Cell(key, cell) => match changes.peek() {
                    Some(Change::Cell(next, _)) if next.field == key.field => {
                        self.join_cells((key, cell), &mut changes);
                    }
                    _ => self.join_cell(key, cell),
                },
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
            if let Some(born) = contribution_to(head, &key, &self.places) {
                theirs.join(&key.cell, born.clone());
                if theirs == born {
                    return;
                }
            }
        }
        self.cells.insert(key, theirs);
    }

    /// Joins cells of one field, as many as follow each other. They mostly come in their order, so that the place of the next
    /// is a step or two from that of the last.
    fn join_cells(&mut self, first: (CellKey, Cell), rest: &mut Peekable<impl Iterator<Item = Change>>) {
        let mut new = Vec::new();
        let mut here = self.cells.range_mut((Included(&first.0), Unbounded)).peekable();
        let mut next = Some(first);
        while let Some((key, theirs)) = next {
            let mut steps = 0;
            let order = loop {
                match here.peek().map(|(mine, _)| (*mine).cmp(&key)) {
                    Some(Ordering::Less) if steps < FEW => drop(here.next()),
                    order => break order,
                }
                steps += 1;
            };
            if matches!(order, Some(Ordering::Less | Ordering::Greater)) {
                here = self.cells.range_mut((Included(&key), Unbounded)).peekable();
            }
            let of_the_field = |change: &Change| matches!(change, Change::Cell(next, _) if next.field == key.field);
            let following = rest.next_if(of_the_field);
            match here.next_if(|(mine, _)| order == Some(Ordering::Equal) || **mine == key) {
                Some((_, mine)) => mine.join(&key.cell, theirs),
                None => new.push((key, theirs)),
            }
            next = following.and_then(|change| match change {
                Change::Cell(key, cell) => Some((key, cell)),
                Change::Head(_) => None,
            });
        }
        for (key, cell) in new {
            self.join_cell(key, cell);
        }
    }

    fn merge_head(&mut self, theirs: Head) {
        self.places = Places::default();
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
                let birth = Arc::make_mut(birth);
                for (field, value) in other.iter() {
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
            birth: Some(Arc::new(birth)),
        })]);
    }

    /// The row was there before it was replicated: a write that every real one beats.
    pub(crate) fn adopted(&mut self, birth: Birth) {
        if self.is_alive() {
            let head = Head {
                epoch: self.epoch(),
                hlc: Hlc::baseline(),
                birth: Some(Arc::new(birth)),
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
    pub(crate) fn increment(&mut self, field: &str, at: &Hlc, by: impl Into<i128>) -> Option<()> {
        let key = CellKey::new(field, at.node.as_str());
        let before = match self.current(&key).map(|cell| cell.state) {
            Some(State::Counter(totals)) => totals,
            _ => Totals::default(),
        };
        let totals = before.plus(by.into())?;
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
            _ => contribution_to(head, key, &self.places),
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
            // To pass over a few is less than to look a place up.
            let cells = if self.cells.len() <= FEW {
                self.cells.range::<CellKey, _>(..)
            } else {
                self.cells.range(CellKey::new(field, "")..)
            };
            let cells = cells.skip_while(move |(key, _)| key.field.as_str() < field);
            let cells = cells.take_while(move |(key, _)| key.field == field);
            cells.filter(|(_, cell)| cell.epoch == head.epoch)
        });
        (born, cells.into_iter().flatten())
    }

    /// The states of a field of the living record, by cell key.
    pub(crate) fn field(&self, field: &str) -> BTreeMap<String, Cell> {
        let (born, cells) = self.parts(field);
        let born = born.into_iter().flat_map(|born| contribution_of(born.head, field));
        let mut states: BTreeMap<_, _> = born.map(|(key, cell)| (key.cell.into_string(), cell)).collect();
        states.extend(cells.map(|(key, cell)| (key.cell.to_string(), cell.clone())));
        states
    }

    /// Whether the record says anything about the field.
    pub(crate) fn knows(&self, field: &str) -> bool {
        let (born, mut cells) = self.parts(field);
        born.is_some() || cells.next().is_some()
    }

    /// What a counter's totals come to, which may be beyond what it can show.
    pub(crate) fn sum(&self, field: &str) -> i128 {
        let (born, cells) = self.parts(field);
        let born = born.filter(|born| born.value.kind == Kind::Counter);
        let node = born.map(|born| born.head.hlc.node.as_str());
        let mut is_covered = false;
        let cells = cells.inspect(|(key, _)| is_covered |= Some(key.cell.as_str()) == node);
        let stored = sum(cells.filter_map(|(_, cell)| match cell.state {
            State::Counter(totals) => Some(totals),
            _ => None,
        }));
        // Where there is a cell, it says what the birth says and more.
        let born = born.filter(|_| !is_covered);
        let born = born.and_then(|born| exact_i64(&born.value.value)).unwrap_or_default();
        stored + i128::from(born)
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
                let sum = i64::try_from(self.sum(field)).map_err(|_| Overflow)?;
                Some(json::i64_json(sum))
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

/// A counter's value left the range of `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;
