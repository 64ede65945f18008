//! What one transaction has done so far.

use std::{
    collections::BTreeSet,
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
        unseen, watch,
    },
    store::{dialect, ended, shadow::Written, version::Taken},
};

/// Effects collected before some of them are written early, so that a huge transaction does not live in memory.
const EARLY_FLUSH: usize = 20_000;

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
            let mut write_under_way = UnderWay::new(self);
            let answer = write_under_way.unless_failed(perform(tx, call, statement).await)?;
            let effect = announced.effect(&answer).map_err(|error| self.poison(error))?;
            self.collect(tx, effect).await?;
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
                let watch = watch::before(tx, &self.core.registry, &catalog, &write).await?;
                let mut write_under_way = UnderWay::new(self);
                // Made while the database is busy with the statement.
                let ahead = async {
                    match watch.foretold() {
                        Some((table, rows)) => ahead::of(self, tx, table, rows).await,
                        None => Ok(None),
                    }
                };
                let (answer, ahead) = future::join(perform(tx, call, statement), ahead).await;
                let answer = write_under_way.unless_failed(answer)?;
                let recorded = match ahead.map_err(|error| self.poison(error))? {
                    Some(ahead) if watch.is_as_foretold(&answer) => {
                        ahead.run(self, tx).await.map_err(|error| self.poison(error))?
                    }
                    _ => false,
                };
                if !recorded {
                    let effects = watch::after(tx, &catalog, watch, &answer).await;
                    let effects = effects.map_err(|error| self.poison(overtaken(tx.get_database_backend(), error)))?;
                    self.log().others_changed |= self.core.registry.get(parsed.table()).is_none();
                    self.collect(tx, effects).await?;
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
        let (answer, recorded) = written.map_err(|error| self.poison(error.into()))?;
        if !recorded {
            let effect = announced.effect(&answer).map_err(|error| self.poison(error))?;
            self.collect(tx, effect).await?;
        }
        write_under_way.over();
        Ok(answer)
    }

    /// Takes note of how many of the cells are recorded that such a write was known to make. Returns whether all are.
    pub(super) fn recorded(&self, table: &Table, at: Hlc, cells: usize, written: Written, taken: Taken) -> bool {
        let mut log = self.log();
        let all = written == Written::All;
        log.left_at = (!all).then_some(at);
        if written != Written::None {
            log.is_flushed(BTreeSet::from([table.name.clone()]), Some(taken));
        }
        if all {
            self.core.statistics.grew(&table.name, cells);
        }
        all
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

    async fn collect(&self, tx: &DatabaseTransaction, effects: impl IntoIterator<Item = Effect>) -> Result<(), DbErr> {
        let waiting = {
            let mut log = self.log();
            for effect in effects {
                log.overtake_announced(&effect.table, &effect.key);
                log.effects.push(effect);
            }
            log.effects.len() - log.flushed
        };
        if waiting >= EARLY_FLUSH {
            self.flush_now(tx).await?;
        }
        Ok(())
    }

    /// Waits until no statement is being captured, and keeps it so.
    pub(crate) async fn between_writes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.capturing.lock().await
    }

    /// Writes out what has been collected, once no statement is being captured.
    pub(crate) async fn flush(&self, tx: &DatabaseTransaction) -> Result<(), Error> {
        let _turn = self.capturing.lock().await;
        let under_way = UnderWay::new(self);
        let flushed = self.flush_now(tx).await;
        under_way.over();
        flushed
    }

    async fn flush_now(&self, tx: &DatabaseTransaction) -> Result<(), Error> {
        let why = {
            let log = self.log();
            log.spoilt.clone().or_else(|| log.poison.clone())
        };
        if let Some(why) = why {
            return Err(Error::Invalid(format!("this transaction can't be committed: {why}")));
        }
        flush::flush(self, tx)
            .await
            .inspect_err(|error| self.poison_with(error))
    }

    /// What parked rows may have waited for, to be asked for before the commit.
    pub(super) fn due(&self) -> Due {
        let mut log = self.log();
        let occasion = Occasion {
            tables: std::mem::take(&mut log.changed),
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
        self.poison_with(&error);
        error.into()
    }

    fn poison_with(&self, error: &Error) {
        self.log().poison.get_or_insert_with(|| error.to_string());
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
            flushed: log.flushed,
            version: log.version,
            poison: log.poison.clone(),
        }
    }

    /// A savepoint was released: what was done in it stays.
    pub(crate) fn release(&self, mark: &Mark) {
        let mut log = self.log();
        log.end_savepoint(mark.id);
        log.forget_flushed();
    }

    /// A savepoint was rolled back: what was done in it did not happen, and what was flushed in it is not in the shadow.
    pub(crate) fn roll_back_to(&self, mark: Mark) {
        let mut log = self.log();
        if !log.end_savepoint(mark.id) {
            return;
        }
        log.effects.truncate(mark.effects);
        log.flushed = mark.flushed;
        if log.version == Taken::Newest {
            // What was newest is gone.
            log.version = mark.version;
        }
        log.poison = mark.poison;
        log.announced.clear();
    }

    /// Makes the transaction fail whatever is rolled back in it.
    pub(crate) fn spoil(&self, why: &str) {
        self.log().spoil(why);
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

    /// A statement that failed did nothing.
    fn unless_failed<T>(&mut self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        self.over |= result.is_err();
        result
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
