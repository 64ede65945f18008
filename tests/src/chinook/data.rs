//! Reading and writing the sample data.

use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};
use serde::Deserialize;

use super::{
    album, artist, customer, employee, genre, invoice, invoice_line, media_type, playlist, playlist_track, track,
};
use crate::chinook_tables;

/// As many rows go into one statement: SQLite binds 32,766 values at most.
const ROWS_PER_INSERT: usize = 1_000;

/// All rows of all tables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Data {
    /// Genres.
    #[serde(rename = "Genre")]
    pub genres: Vec<genre::Model>,
    /// File formats.
    #[serde(rename = "MediaType")]
    pub media_types: Vec<media_type::Model>,
    /// Artists.
    #[serde(rename = "Artist")]
    pub artists: Vec<artist::Model>,
    /// Albums.
    #[serde(rename = "Album")]
    pub albums: Vec<album::Model>,
    /// Tracks.
    #[serde(rename = "Track")]
    pub tracks: Vec<track::Model>,
    /// Employees.
    #[serde(rename = "Employee")]
    pub employees: Vec<employee::Model>,
    /// Customers.
    #[serde(rename = "Customer")]
    pub customers: Vec<customer::Model>,
    /// Invoices.
    #[serde(rename = "Invoice")]
    pub invoices: Vec<invoice::Model>,
    /// Lines of invoices.
    #[serde(rename = "InvoiceLine")]
    pub invoice_lines: Vec<invoice_line::Model>,
    /// Playlists.
    #[serde(rename = "Playlist")]
    pub playlists: Vec<playlist::Model>,
    /// What is in playlists.
    #[serde(rename = "PlaylistTrack")]
    pub playlist_tracks: Vec<playlist_track::Model>,
}

impl Data {
    /// Where the data are looked for: the file that `GROVE_CHINOOK` names, or `../shared/data/chinook.json` beside the
    /// workspace.
    pub fn path() -> PathBuf {
        std::env::var_os("GROVE_CHINOOK").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/chinook.json"),
            PathBuf::from,
        )
    }

    /// The data, or why there are none.
    ///
    /// # Errors
    ///
    /// There is no file at [`path`](Self::path).
    pub fn load() -> Result<Self, String> {
        let path = Self::path();
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The same rows, each table in the order of its key.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.genres.sort_by_key(|row| row.genre_id);
        self.media_types.sort_by_key(|row| row.media_type_id);
        self.artists.sort_by_key(|row| row.artist_id);
        self.albums.sort_by_key(|row| row.album_id);
        self.tracks.sort_by_key(|row| row.track_id);
        self.employees.sort_by_key(|row| row.employee_id);
        self.customers.sort_by_key(|row| row.customer_id);
        self.invoices.sort_by_key(|row| row.invoice_id);
        self.invoice_lines.sort_by_key(|row| row.invoice_line_id);
        self.playlists.sort_by_key(|row| row.playlist_id);
        self.playlist_tracks.sort_by_key(|row| (row.playlist_id, row.track_id));
        self
    }

    /// The number of rows in all tables.
    #[must_use]
    pub fn rows(&self) -> usize {
        let mut count = 0;
        macro_rules! count {
            ($module:ident, $rows:ident) => {
                count += self.$rows.len();
            };
        }
        chinook_tables!(count);
        count
    }

    /// Inserts all rows.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn insert<C: ConnectionTrait>(&self, conn: &C) -> Result<(), DbErr> {
        macro_rules! insert {
            ($module:ident, $rows:ident) => {
                for rows in self.$rows.chunks(ROWS_PER_INSERT) {
                    let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
                    $module::Entity::insert_many(rows)
                        .exec_without_returning(conn)
                        .await?;
                }
            };
        }
        chinook_tables!(insert);
        Ok(())
    }

    /// Reads all rows back, each table in the order of its key.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn read<C: ConnectionTrait>(conn: &C) -> Result<Self, DbErr> {
        Ok(Self {
            genres: rows::<genre::Entity, C>(conn).await?,
            media_types: rows::<media_type::Entity, C>(conn).await?,
            artists: rows::<artist::Entity, C>(conn).await?,
            albums: rows::<album::Entity, C>(conn).await?,
            tracks: rows::<track::Entity, C>(conn).await?,
            employees: rows::<employee::Entity, C>(conn).await?,
            customers: rows::<customer::Entity, C>(conn).await?,
            invoices: rows::<invoice::Entity, C>(conn).await?,
            invoice_lines: rows::<invoice_line::Entity, C>(conn).await?,
            playlists: rows::<playlist::Entity, C>(conn).await?,
            playlist_tracks: rows::<playlist_track::Entity, C>(conn).await?,
        })
    }
}

/// A table's rows in the order of its key.
async fn rows<E: EntityTrait, C: ConnectionTrait>(conn: &C) -> Result<Vec<E::Model>, DbErr> {
    use sea_orm::{Iterable as _, PrimaryKeyToColumn as _, QueryOrder as _};
    let ordered = E::PrimaryKey::iter().fold(E::find(), |query, key| query.order_by_asc(key.into_column()));
    ordered.all(conn).await
}
