//! What one transaction has done so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement};
use tokio::sync::OwnedMutexGuard;

use crate::{
    clock::Hlc,
    entity::Table,
    error::{CONTENDED, Error},
    replica::{
        Core, ahead,
        along::{self, AlongWith},
        announce::Announced,
        call::{Answer, Call, perform},
        effect::Effect,
        flush,
        log::{Log, Mark},
        occasion::{Due, Occasion},
        statement::{self, Verdict, Write},
        steps, unseen, watch,
    },
    store::{dialect, ended, failed, shadow::Written, version::Taken},
    types::Record,
};

/// The shared state of a transaction and the savepoints in it.
#[derive(Debug)]
pub(crate) struct Session {
    pub core: Arc<Core>,
    read_only: bool,
    /// One captured write at a time: a statement and what it did belong together.
    capturing: tokio::sync::Mutex<()>,
    log: Mutex<Log>,
    turn: Mutex<Option<OwnedMutexGuard<()>>>,
    /// Whether its transaction was committed or rolled back, and the database said so.
    ended: AtomicBool,
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::SeqCst) {
            self.core.doubt.rise();
        }
    }
}

impl Session {
    pub(crate) fn new(core: Arc<Core>, read_only: bool, turn: Option<OwnedMutexGuard<()>>) -> Self {
        Self {
            core,
            read_only,
            capturing: tokio::sync::Mutex::new(()),
            log: Mutex::new(Log::default()),
            turn: Mutex::new(turn),
            ended: AtomicBool::new(false),
        }
    }

    /// Notes that its transaction was committed or rolled back.
    pub(crate) fn note_end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// The log. A panic in between leaves it as it was at some point, which is as good as any.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement of the user's, capturing what it does.
    pub(crate) async fn run(
        &self,
        tx: &DatabaseTransaction,
        call: Call,
        statement: Statement,
    ) -> Result<Answer, DbErr> {
        let answer = self.capture(tx, call, statement).await;
        if answer.is_err() && ended::has_ended(tx).await {
            self.spoil("SQLite has rolled back all of it, for a statement that failed");
        }
        answer
    }

    async fn capture(&self, tx: &DatabaseTransaction, call: Call, statement: Statement) -> Result<Answer, DbErr> {
        if statement::passes_through(&statement) {
            return perform(tx, call, statement).await;
        }
        let _turn = self.capturing.lock().await;
        let was_announced = self.log().has_announced(&statement);
        let announced = self.log().take_announced(&statement)?;
        if let Some(announced) = announced {
            self.must_write(announced.table())?;
            if let Some(along) = along::of(self, tx, call, &announced, &statement).await? {
                return self.run_along(tx, along, announced).await;
            }
            let write_under_way = UnderWay::new(self);
            let answer = match perform(tx, call, statement).await {
                Ok(answer) => answer,
                Err(error) => {
                    if failed::may_leave_a_part(tx.get_database_backend(), &error) {
                        self.collect_left(left_by(tx, announced).await);
                    }
                    write_under_way.over();
                    return Err(error);
                }
            };
            let effect = announced.effect(&answer).map_err(|error| self.poison(error))?;
            self.collect(Vec::from_iter(effect));
            write_under_way.over();
            return Ok(answer);
        }
        let catalog = self.core.catalog(tx).await?;
        match self.core.parsed.judge(&statement, &self.core.registry, &catalog)? {
            Verdict::Harmless => {
                self.log().others_changed |= !statement::reads(&statement.sql);
                perform(tx, call, statement).await
            }
            Verdict::ChangesSchema => {
                if statement::commits(&statement) {
                    self.is_committed_by_a_statement()?;
                }
                let answer = perform(tx, call, statement).await?;
                self.core.forget_catalog();
                Ok(answer)
            }
            Verdict::Writes(parsed) => {
                self.must_write(parsed.table())?;
                let write = Write::new(&parsed, &statement);
                if !was_announced {
                    unseen::check(&self.core.registry, &catalog, &write, &self.log().announced)?;
                }
                let mut watch = watch::before(tx, &self.core.registry, &catalog, &write).await?;
                let write_under_way = UnderWay::new(self);
                // Made while the database is busy with the statement.
                let ahead = async {
                    match watch.foretold() {
                        Some((table, rows)) => ahead::of(self, tx, table, rows).await,
                        None => Ok(None),
                    }
                };
                let (answer, ahead) = future::join(perform(tx, call, statement), ahead).await;
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(error) => {
                        if failed::may_leave_a_part(tx.get_database_backend(), &error) {
                            self.log().others_changed |= self.core.registry.get(parsed.table()).is_none();
                            self.collect_left(watch::after_failure(tx, &catalog, watch).await);
                        }
                        write_under_way.over();
                        return Err(error);
                    }
                };
                let written = match ahead.map_err(|error| self.poison(error))? {
                    Some(ahead) if watch.is_as_foretold(&answer) => {
                        let written = ahead.run(self, tx).await.map_err(|error| self.poison(error))?;
                        self.log().begun = watch.begun(&written);
                        written
                    }
                    _ => Written::None,
                };
                if written != Written::All {
                    let effects = watch::after(tx, &catalog, watch, &answer).await;
                    let effects = effects.map_err(|error| self.poison(overtaken(tx.get_database_backend(), error)))?;
                    self.log().others_changed |= self.core.registry.get(parsed.table()).is_none();
                    self.collect(left_of(effects, &written));
                }
                write_under_way.over();
                Ok(answer)
            }
        }
    }

    /// Runs an announced statement that writes the row's record as well.
    async fn run_along(
        &self,
        tx: &DatabaseTransaction,
        along: AlongWith,
        announced: Announced,
    ) -> Result<Answer, DbErr> {
        let write_under_way = UnderWay::new(self);
        let written = along.run(self, tx).await;
        // If it failed, it may have done a part.
        let (answer, written) = written.map_err(|error| self.poison(error.into()))?;
        if written != Written::All {
            let effect = announced.effect(&answer).map_err(|error| self.poison(error))?;
            self.collect(left_of(effect, &written));
        }
        write_under_way.over();
        Ok(answer)
    }

    /// Takes note of which of so many cells are recorded that a write was known to make.
    pub(super) fn recorded(&self, table: &Table, at: Hlc, cells: usize, written: &Written, taken: Taken) {
        let mut log = self.log();
        let all = *written == Written::All;
        log.left_at = (!all).then_some(at);
        if *written != Written::None {
            // Nothing goes along while rows may be parked, so nobody asks which row it was.
            log.is_recorded(BTreeMap::from([(table.name.clone(), BTreeSet::new())]), Some(taken));
        }
        if all {
            self.core.statistics.grew(&table.name, cells);
        }
    }

    /// Notes that the transaction was begun for one write.
    pub(crate) fn is_for_one_write(&self) {
        self.log().is_for_one_write = true;
    }

    /// Whether what is written next may be recorded with it, rather than at the end: it is the first, and mostly the only one.
    pub(super) fn goes_along(&self) -> bool {
        let log = self.log();
        log.is_for_one_write && log.effects.is_empty() && log.version == Taken::Not && log.savepoints.is_empty()
    }

    /// Whether a table may be written in this transaction.
    fn must_write(&self, table: &str) -> Result<(), Error> {
        if self.read_only {
            return Err(Error::Uncapturable {
                what: format!("a write of `{table}` in a read-only transaction"),
                instead: "begin the transaction without `AccessMode::ReadOnly`".into(),
            });
        }
        if self.log().committed {
            return Err(Error::Uncapturable {
                what: format!("a write of `{table}` after a statement that has committed its transaction"),
                instead: "change the schema outside of the transaction".into(),
            });
        }
        Ok(())
    }

    /// Takes note of a statement that is going to commit the transaction: what is written afterwards would not be recorded
    /// with it.
    ///
    /// # Errors
    ///
    /// What was written before would be committed without its record.
    fn is_committed_by_a_statement(&self) -> Result<(), Error> {
        let mut log = self.log();
        if log.version != Taken::Not || !log.effects.is_empty() {
            return Err(Error::Uncapturable {
                what: "a statement that commits a transaction which has written replicated tables".into(),
                instead: "change the schema outside of the transaction".into(),
            });
        }
        log.committed = true;
        Ok(())
    }

    fn collect(&self, effects: Vec<Effect>) {
        let mut log = self.log();
        for effect in &effects {
            log.overtake_announced(&effect.table, &effect.key);
        }
        log.effects.extend(effects);
    }

    /// Collects what a statement has left that failed. If that can't be told, the transaction must not be committed.
    fn collect_left(&self, effects: Result<Vec<Effect>, Error>) {
        match effects {
            Ok(effects) => self.collect(effects),
            Err(error) => drop(self.poison(error)),
        }
    }

    /// Waits until no statement is being captured, and keeps it so.
    pub(crate) async fn between_writes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.capturing.lock().await
    }

    /// Writes what has been collected, to be committed.
    pub(crate) async fn flush(&self, tx: &DatabaseTransaction) -> Result<(), Error> {
        let _turn = self.between_writes().await;
        self.may_be_committed()?;
        flush::flush(self, tx).await
    }

    /// What a record will be with what has been collected, if there is anything.
    pub(super) async fn preview(
        &self,
        tx: &DatabaseTransaction,
        table: &Table,
        pk: &str,
    ) -> Result<Option<Record>, Error> {
        let _turn = self.between_writes().await;
        self.may_be_committed()?;
        flush::preview(self, tx, table, pk).await
    }

    fn may_be_committed(&self) -> Result<(), Error> {
        let log = self.log();
        match log.spoilt.as_ref().or(log.poison.as_ref()) {
            Some(why) => Err(Error::Invalid(format!("this transaction can't be committed: {why}"))),
            None => Ok(()),
        }
    }

    /// What parked rows may have waited for, to be asked for before the commit.
    pub(super) fn due(&self) -> Due {
        let mut log = self.log();
        let changed = std::mem::take(&mut log.changed);
        let rows = |(table, pks): (String, BTreeSet<String>)| pks.into_iter().map(move |pk| (table.clone(), pk));
        let occasion = Occasion {
            tables: changed.keys().cloned().collect(),
            rows: changed.into_iter().flat_map(rows).collect(),
            others: log.others_changed,
            asked: false,
        };
        Due::new(&self.core, occasion)
    }

    /// After the transaction was committed: tells who waits, and tries the rows that may have waited for it.
    pub(super) async fn committed(&self, due: Due) {
        drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        if self.has_written() {
            self.core.committed();
        }
        if let Err(error) = due.release().await {
            // The transaction itself is committed; the rows stay parked until the next occasion.
            tracing::warn!(%error, "parked rows could not be tried");
        }
    }

    /// Whether anything was collected.
    pub(crate) fn has_written(&self) -> bool {
        self.log().version != Taken::Not
    }

    fn poison(&self, error: Error) -> DbErr {
        self.log().poison.get_or_insert_with(|| error.to_string());
        error.into()
    }

    /// Notes where a savepoint begins.
    pub(crate) fn mark(&self) -> Mark {
        let mut log = self.log();
        log.newest_savepoint += 1;
        let id = log.newest_savepoint;
        log.savepoints.push(id);
        Mark {
            id,
            effects: log.effects.len(),
            poison: log.poison.clone(),
        }
    }

    /// A savepoint was released: what was done in it stays.
    pub(crate) fn release(&self, mark: &Mark) {
        self.log().end_savepoint(mark.id);
    }

    /// A savepoint was rolled back: what was done in it did not happen.
    pub(crate) fn roll_back_to(&self, mark: Mark) {
        let mut log = self.log();
        if !log.end_savepoint(mark.id) {
            return;
        }
        log.effects.truncate(mark.effects);
        log.poison = mark.poison;
        log.announced.clear();
    }

    /// Makes the transaction fail whatever is rolled back in it.
    pub(crate) fn spoil(&self, why: &str) {
        self.log().spoil(why);
    }
}

/// What an announced statement has left that failed.
async fn left_by(tx: &DatabaseTransaction, announced: Announced) -> Result<Vec<Effect>, Error> {
    if failed::left(tx).await?.rows == 0 {
        return Ok(Vec::new());
    }
    Ok(Vec::from_iter(announced.effect_of_failed()?))
}

/// What is left of effects, once cells are written.
fn left_of(effects: impl IntoIterator<Item = Effect>, written: &Written) -> Vec<Effect> {
    let effects = effects.into_iter();
    match written {
        Written::All => Vec::new(),
        Written::Some(cells) => effects.filter_map(|effect| steps::left_of(effect, cells)).collect(),
        Written::None => effects.collect(),
    }
}

/// Where writers overlap, rows that nobody watched may be another transaction's, which came just then: a reason to try
/// again.
fn overtaken(backend: DbBackend, error: Error) -> Error {
    match error {
        Error::Uncapturable { what, instead } if !dialect::has_one_writer(backend) => Error::Uncapturable {
            what,
            instead: format!("{instead}; or {CONTENDED}"),
        },
        error => error,
    }
}

/// A write that is under way. If its future is dropped before the end, nobody knows whether it ran.
struct UnderWay<'a> {
    session: &'a Session,
    over: bool,
}

impl<'a> UnderWay<'a> {
    fn new(session: &'a Session) -> Self {
        Self { session, over: false }
    }

    fn over(mut self) {
        self.over = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.over {
            let mut log = self.session.log();
            log.poison
                .get_or_insert_with(|| "a write was cancelled before its end".to_owned());
        }
    }
}
