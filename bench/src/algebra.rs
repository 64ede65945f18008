//! What is measured of the algebra: a clock's tick, and merges of a last-writer-wins field, a counter and a set.

use std::{hint::black_box, sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    clock::{Clock, Hlc, NodeId, SystemClock},
    error::Error,
    types::{Birth, Change, Head, Record},
};

/// A hybrid logical clock on the machine's own.
#[derive(Debug)]
pub struct Ticker(Clock);

impl Ticker {
    /// A clock that has not been read yet.
    ///
    /// # Errors
    ///
    /// The library has changed its mind about node ids.
    pub fn new() -> Result<Self, Error> {
        let drift = Duration::from_mins(1);
        Ok(Self(Clock::new(node(0)?, Arc::new(SystemClock), drift, None)))
    }

    /// Reads it once.
    pub fn tick(&self) {
        black_box(self.0.tick(None));
    }
}

/// The state of one field here, and what another node has of it, all of it newer.
#[derive(Clone, Debug)]
pub struct Meeting {
    here: Record,
    there: Vec<Change>,
}

impl Meeting {
    /// A field where the last writer wins.
    ///
    /// # Errors
    ///
    /// The library has changed its mind about node ids.
    pub fn of_lww() -> Result<Self, Error> {
        Self::new(|record, at| {
            record.assign("title", at, json!("a title of some length"));
            Ok(())
        })
    }

    /// A counter that so many nodes have moved.
    ///
    /// # Errors
    ///
    /// The library has changed its mind about node ids.
    pub fn of_counter(nodes: usize) -> Result<Self, Error> {
        Self::new(|record, at| {
            for number in 0..nodes {
                let at = Hlc {
                    node: node(number)?,
                    ..at.clone()
                };
                // So little can't leave a total's range.
                let _ = record.increment("views", &at, 1);
            }
            Ok(())
        })
    }

    /// A set of so many elements.
    ///
    /// # Errors
    ///
    /// The library has changed its mind about node ids.
    pub fn of_set(elements: usize) -> Result<Self, Error> {
        Self::new(|record, at| {
            for number in 0..elements {
                record.insert("tags", at, json!(format!("element {number}")));
            }
            Ok(())
        })
    }

    /// What is written on one node, and then again on another that has seen it.
    fn new(write: impl Fn(&mut Record, &Hlc) -> Result<(), Error>) -> Result<Self, Error> {
        let at = |ts, number| {
            let node = node(number)?;
            Ok::<_, Error>(Hlc { ts, counter: 0, node })
        };
        let mut here = Record::default();
        here.merge([Change::Head(Head {
            epoch: 1,
            hlc: at(1, 0)?,
            birth: Some(Arc::new(Birth::new())),
        })]);
        write(&mut here, &at(2, 0)?)?;
        let mut there = here.clone();
        write(&mut there, &at(3, 1)?)?;
        let cells = there.cells().iter();
        let there = cells.map(|(key, cell)| Change::Cell(key.clone(), cell.clone()));
        Ok(Self {
            there: there.collect(),
            here,
        })
    }

    /// Merges what is there into what is here. What comes of it is given back, to be dropped when nobody measures.
    #[must_use]
    pub fn merge(mut self) -> Self {
        self.here.merge(self.there.drain(..));
        self
    }
}

fn node(number: usize) -> Result<NodeId, Error> {
    format!("node-{number}").parse()
}
