//! What the writers do: something at random to a few folders and files that all of them share, and entries of their own
//! that nobody may lose.

use std::ops::AddAssign;

use rand::{RngExt as _, rngs::SmallRng};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait as _, TransactionTrait};

use super::tables::{self, file, folder};

/// The folder that nobody deletes.
pub(super) const TOTAL: &str = "total";
/// How many folders and files all writers share.
pub(super) const FOLDERS: u32 = 4;
const FILES: u32 = 8;

/// What a writer has committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Added to the visits of [`TOTAL`].
    pub visits: i64,
    /// The tags that were given to [`TOTAL`].
    pub tags: Vec<String>,
    /// The files that were put there.
    pub entries: Vec<String>,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.visits += other.visits;
        self.tags.extend(other.tags);
        self.entries.extend(other.entries);
    }
}

/// Takes one step at random.
pub(super) async fn step<C>(conn: &C, name: &str, rng: &mut SmallRng) -> Result<Tally, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    match rng.random_range(0..12) {
        0..2 => visit(conn, rng).await,
        2 => tag(conn, format!("{name}-{}", rng.random::<u32>())).await,
        3 => enter(conn, format!("{name}-{}", rng.random::<u32>())).await,
        4..8 => {
            let id = format!("folder-{}", rng.random_range(0..FOLDERS));
            on_folder(conn, id, rng).await.map(|()| Tally::default())
        }
        _ => {
            let id = format!("file-{}", rng.random_range(0..FILES));
            on_file(conn, id, rng).await.map(|()| Tally::default())
        }
    }
}

async fn visit<C>(conn: &C, rng: &mut SmallRng) -> Result<Tally, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let visits = rng.random_range(1..5);
    folder::ActiveModel::increment_visits(conn, TOTAL, visits).await?;
    Ok(Tally {
        visits,
        ..Tally::default()
    })
}

/// From a model that was read before, as forms do.
async fn tag<C>(conn: &C, tag: String) -> Result<Tally, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let total = folder::Entity::find_by_id(TOTAL).one(conn).await?.expect("the total");
    let mut tags = total.tags.clone();
    tags.insert(tag.clone());
    let mut total = folder::ActiveModel::from(total);
    total.tags = Set(tags);
    total.update(conn).await?;
    Ok(Tally {
        tags: vec![tag],
        ..Tally::default()
    })
}

async fn enter<C>(conn: &C, id: String) -> Result<Tally, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    tables::file(&id, TOTAL, "entry").insert(conn).await?;
    Ok(Tally {
        entries: vec![id],
        ..Tally::default()
    })
}

async fn on_folder<C>(conn: &C, id: String, rng: &mut SmallRng) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let Some(found) = folder::Entity::find_by_id(&id).one(conn).await? else {
        return tables::folder(id).insert(conn).await.map(drop);
    };
    match rng.random_range(0..7) {
        0 => folder::ActiveModel::from(found).delete(conn).await.map(drop),
        1 => folder::Entity::delete_by_id(id).exec(conn).await.map(drop),
        2..4 => folder::ActiveModel::increment_visits(conn, id, 1).await,
        4 => {
            let mut folder = folder::ActiveModel::from(found);
            folder.name = Set(format!("name {}", rng.random::<u16>()));
            folder.update(conn).await.map(drop)
        }
        _ => {
            let mut tags = found.tags.clone();
            let tag = rng.random_range(0..3).to_string();
            if rng.random() {
                tags.insert(tag);
            } else {
                tags.remove(&tag);
            }
            let mut folder = folder::ActiveModel::from(found);
            folder.tags = Set(tags);
            folder.update(conn).await.map(drop)
        }
    }
}

async fn on_file<C>(conn: &C, id: String, rng: &mut SmallRng) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let folder = format!("folder-{}", rng.random_range(0..FOLDERS));
    let folder = folder::Entity::find_by_id(folder).one(conn).await?;
    let Some(found) = file::Entity::find_by_id(&id).one(conn).await? else {
        let Some(folder) = folder else { return Ok(()) };
        return tables::file(id, folder.id, "born").insert(conn).await.map(drop);
    };
    match (rng.random_range(0..6), folder) {
        (0..2, _) => file::ActiveModel::from(found).delete(conn).await.map(drop),
        (2, Some(folder)) => {
            let mut file = file::ActiveModel::from(found);
            file.folder_id = Set(folder.id);
            file.update(conn).await.map(drop)
        }
        (3, _) => {
            let mut file = file::ActiveModel::from(found);
            file.title = Set(format!("title {}", rng.random::<u16>()));
            file.update(conn).await.map(drop)
        }
        _ => file::ActiveModel::increment_size(conn, id, 1).await,
    }
}
