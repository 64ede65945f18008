//! The Chinook sample database, a shop for digital media: 11 tables with foreign keys, a composite key, a table that
//! refers to itself, decimals, dates and text from all over the world.
//!
//! Entities have the columns, types and relations of the original. Its data are not part of this repository; [`Data`]
//! says where they are looked for.

pub mod catalogue;
mod data;
pub mod sales;

pub use catalogue::{album, artist, genre, media_type, playlist, playlist_track, track};
pub use data::Data;
pub use sales::{customer, employee, invoice, invoice_line};

use grove_crdt::{AdoptReport, Error, Replica, ReplicaBuilder};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Schema};

/// Calls a macro with each entity's module and its field in [`Data`], parents before children.
#[macro_export]
macro_rules! chinook_tables {
    ($with:ident) => {
        $with!(genre, genres);
        $with!(media_type, media_types);
        $with!(artist, artists);
        $with!(album, albums);
        $with!(track, tracks);
        $with!(employee, employees);
        $with!(customer, customers);
        $with!(invoice, invoices);
        $with!(invoice_line, invoice_lines);
        $with!(playlist, playlists);
        $with!(playlist_track, playlist_tracks);
    };
}

/// Creates the tables, empty, with their foreign keys.
///
/// # Errors
///
/// The database fails, or has one of them already.
pub async fn create_tables(db: &DatabaseConnection) -> Result<(), DbErr> {
    let schema = Schema::new(db.get_database_backend());
    macro_rules! create {
        ($module:ident, $rows:ident) => {
            db.execute(&schema.create_table_from_entity($module::Entity))
                .await?;
        };
    }
    chinook_tables!(create);
    Ok(())
}

/// A replica of all tables, to be opened.
pub fn builder(node: &str) -> ReplicaBuilder {
    let mut builder = Replica::builder(node);
    macro_rules! register {
        ($module:ident, $rows:ident) => {
            builder = builder.entity::<$module::Entity>();
        };
    }
    chinook_tables!(register);
    builder
}

/// Adopts all tables, missing rows included. Returns what was found, table by table.
///
/// # Errors
///
/// The adoption of a table fails.
pub async fn adopt(replica: &Replica) -> Result<Vec<(&'static str, AdoptReport)>, Error> {
    let mut found = Vec::new();
    macro_rules! adopt {
        ($module:ident, $rows:ident) => {
            let report = replica.adopt::<$module::Entity>().deletions(true).await?;
            found.push((stringify!($module), report));
        };
    }
    chinook_tables!(adopt);
    Ok(found)
}
