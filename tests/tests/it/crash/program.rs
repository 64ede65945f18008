//! What a writer does: transactions at random over all tables.

use grove_crdt::prelude::*;
use grove_crdt_tests::entities::document;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbBackend, DbErr, EntityTrait as _, SqlErr, TransactionSession as _, TransactionTrait,
    entity::prelude::*,
    sea_query::{ExprTrait as _, OnConflict},
};

use super::tables::{comment, entry};

/// The document whose views are the sum of the journal.
pub(super) const TOTAL: &str = "total";
/// What entries are named by that must never be seen.
pub(super) const VOID: &str = "void";

/// The documents that come and go, as it falls out.
pub(super) fn documents() -> impl Iterator<Item = String> {
    (0..6).map(|n| format!("document-{n}"))
}

/// Their comments.
pub(super) fn comments() -> impl Iterator<Item = String> {
    (0..12).map(|n| format!("comment-{n}"))
}

/// Writes the total, once in the life of the two databases.
pub(super) async fn begin(replica: &Replica) -> Result<(), DbErr> {
    let total = document::ActiveModel {
        id: Set(TOTAL.to_owned()),
        title: Set("Sum of the journal".to_owned()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    };
    total.insert(replica).await.map(drop)
}

/// One that writes, in its own name, one transaction after another.
pub(super) struct Writer {
    replica: Replica,
    name: String,
    entries: u32,
    rng: SmallRng,
}

impl Writer {
    /// `name` is another one for each writer of a node.
    pub(super) fn new(replica: Replica, name: &str, seed: u64) -> Self {
        let name = format!("{}-{name}", replica.node_id());
        Self {
            replica,
            name,
            entries: 0,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Carries out a transaction. Returns its entry in the journal, unless it was rolled back.
    ///
    /// Where several write at a time, one may be in the way of another, and is then rolled back.
    pub(super) async fn transaction(&mut self) -> Result<Option<String>, DbErr> {
        match self.attempt().await {
            Err(error) if self.replica.get_database_backend() != DbBackend::Sqlite && is_in_the_way(&error) => Ok(None),
            outcome => outcome,
        }
    }

    async fn attempt(&mut self) -> Result<Option<String>, DbErr> {
        self.entries += 1;
        let keep = self.rng.random_ratio(5, 6);
        let id = format!("{}{}-{}", if keep { "" } else { VOID }, self.name, self.entries);
        let tx = self.replica.begin().await?;
        self.account(&tx, id.clone()).await?;
        for _ in 0..self.rng.random_range(0..4) {
            edit(&tx, &mut self.rng).await?;
        }
        if self.rng.random_ratio(1, 5) {
            let inner = tx.begin().await?;
            self.account(&inner, format!("{VOID}-{id}")).await?;
            edit(&inner, &mut self.rng).await?;
            inner.rollback().await?;
            edit(&tx, &mut self.rng).await?;
        }
        if keep {
            tx.commit().await?;
            Ok(Some(id))
        } else {
            tx.rollback().await?;
            Ok(None)
        }
    }

    /// An entry, and its amount added to the total.
    async fn account<C>(&mut self, conn: &C, id: String) -> Result<(), DbErr>
    where
        C: ConnectionTrait + TransactionTrait,
    {
        let amount = self.rng.random_range(1..10);
        let node = self.replica.node_id().to_string();
        entry::ActiveModel {
            id: Set(id),
            node: Set(node),
            amount: Set(amount),
        }
        .insert(conn)
        .await?;
        document::ActiveModel::increment_view_count(conn, TOTAL, amount).await
    }
}

/// Whether another transaction has made, changed, deleted or locked what this one wanted to write.
fn is_in_the_way(error: &DbErr) -> bool {
    let codes = ["40001", "40P01", "1205", "1213"];
    let text = error.to_string();
    let constraint = matches!(
        error.sql_err(),
        Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))
    );
    constraint
        || matches!(error, DbErr::RecordNotUpdated | DbErr::RecordNotFound(_))
        || codes.iter().any(|code| text.contains(code))
        || text.to_lowercase().contains("deadlock")
}

fn pick(rng: &mut SmallRng, ids: impl Iterator<Item = String>) -> String {
    let ids: Vec<_> = ids.collect();
    ids[rng.random_range(0..ids.len())].clone()
}

/// One change at random, announced by hooks or not, of one row or several.
async fn edit<C>(conn: &C, rng: &mut SmallRng) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let id = pick(rng, documents());
    match (
        rng.random_range(0..10),
        document::Entity::find_by_id(id.as_str()).one(conn).await?,
    ) {
        (0, Some(_)) => document::Entity::delete_by_id(id).exec(conn).await.map(drop),
        (1..=2, Some(_)) => document::ActiveModel::increment_view_count(conn, id, rng.random_range(-3..9)).await,
        (3..=4, Some(found)) => retag(conn, rng, found).await,
        (5..=6, Some(_)) => comment_on(conn, rng, id).await,
        (7, Some(_)) => like_all(conn, &id).await,
        (8, Some(_)) => {
            let comments = comment::Entity::delete_many().filter(comment::Column::DocumentId.eq(id));
            comments.exec(conn).await.map(drop)
        }
        (9, Some(_)) | (5.., None) => upsert(conn, rng, id).await,
        (_, None) => {
            let born = document::ActiveModel {
                id: Set(id),
                title: Set("Born".to_owned()),
                view_count: Set(1),
                tags: Set(OrSet::from(["new".to_owned()])),
                author: Set(None),
            };
            born.insert(conn).await.map(drop)
        }
        _ => Ok(()),
    }
}

async fn retag<C>(conn: &C, rng: &mut SmallRng, found: document::Model) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let mut tags = found.tags.clone();
    let tag = format!("tag-{}", rng.random_range(0..5));
    if rng.random() {
        tags.insert(tag);
    } else {
        tags.remove(&tag);
    }
    let mut document = document::ActiveModel::from(found);
    document.title = Set(format!("Retagged {}", rng.random_range(0..1_000)));
    document.tags = Set(tags);
    document.update(conn).await.map(drop)
}

/// Writes a comment, or moves one here from another document.
async fn comment_on<C>(conn: &C, rng: &mut SmallRng, document: String) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let id = pick(rng, comments());
    let body = format!("Body {}", rng.random_range(0..1_000));
    if let Some(found) = comment::Entity::find_by_id(id.as_str()).one(conn).await? {
        let mut comment = comment::ActiveModel::from(found);
        comment.document_id = Set(document);
        comment.body = Set(body);
        return comment.update(conn).await.map(drop);
    }
    let comment = comment::ActiveModel {
        id: Set(id),
        document_id: Set(document),
        body: Set(body),
        likes: Set(0),
    };
    comment.insert(conn).await.map(drop)
}

async fn like_all<C: ConnectionTrait>(conn: &C, document: &str) -> Result<(), DbErr> {
    let liked = comment::Entity::update_many()
        .col_expr(comment::Column::Likes, Expr::col(comment::Column::Likes).add(1))
        .filter(comment::Column::DocumentId.eq(document));
    liked.exec(conn).await.map(drop)
}

async fn upsert<C: ConnectionTrait>(conn: &C, rng: &mut SmallRng, id: String) -> Result<(), DbErr> {
    let document = document::ActiveModel {
        id: Set(id),
        title: Set(format!("Upserted {}", rng.random_range(0..1_000))),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    };
    let update = OnConflict::column(document::Column::Id)
        .update_column(document::Column::Title)
        .to_owned();
    document::Entity::insert(document)
        .on_conflict(update)
        .exec(conn)
        .await
        .map(drop)
}
