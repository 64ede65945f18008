//! A replica whose changes are merged and read.

use std::sync::atomic::{AtomicUsize, Ordering};

use grove_crdt::Replica;
use rand::{SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use crate::{
    database::SqliteFile,
    documents::{self, PAGE, key, replicated},
};

/// A replica on a file of its own.
pub(super) struct Node {
    pub(super) replica: Replica,
    /// It goes after what is connected to it.
    pub(super) file: SqliteFile,
}

impl Node {
    /// A new one without documents.
    pub(super) async fn empty(name: &str) -> anyhow::Result<Self> {
        let file = SqliteFile::new()?;
        let db = file.connect().await?;
        documents::create_table(&db).await?;
        let replica = replicated::open(name, db).await?;
        Ok(Self { replica, file })
    }

    /// A new one that has inserted so many documents, a thousand per transaction.
    pub(super) async fn filled(name: &str, rows: usize) -> anyhow::Result<Self> {
        let node = Self::empty(name).await?;
        documents::insert_many::<replicated::ActiveModel>(&node.replica, 0..rows).await?;
        Ok(node)
    }

    /// One on a copy of a file, under a node id of its own: in one process, copies count as one database.
    pub(super) async fn on_copy(of: &SqliteFile) -> anyhow::Result<Self> {
        static COPIES: AtomicUsize = AtomicUsize::new(0);
        let file = of.copy()?;
        let name = format!("copy-{}", COPIES.fetch_add(1, Ordering::Relaxed));
        let replica = replicated::open(&name, file.connect().await?).await?;
        Ok(Self { replica, file })
    }

    /// Ends the replica and its connections; the file stays.
    pub(super) async fn close(self) -> anyhow::Result<SqliteFile> {
        self.replica.connection().clone().close().await?;
        Ok(self.file)
    }

    /// Gives documents a new title, a thousand per transaction.
    pub(super) async fn retitle(&self, numbers: &[usize], title: &str) -> anyhow::Result<()> {
        for (index, page) in numbers.chunks(PAGE).enumerate() {
            replicated::Entity::update_many()
                .col_expr(replicated::Column::Title, Expr::value(format!("{title} {index}")))
                .filter(replicated::Column::Id.is_in(page.iter().copied().map(key)))
                .exec(&self.replica)
                .await?;
        }
        Ok(())
    }
}

/// The numbers of so many documents in random order, the same each time.
pub(super) fn shuffled(rows: usize) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..rows).collect();
    numbers.shuffle(&mut SmallRng::seed_from_u64(1));
    numbers
}
