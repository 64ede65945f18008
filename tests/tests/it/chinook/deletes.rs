//! Deleting with dependants. The schema has no cascades, so what depends on a row goes first, by hand.

use grove_crdt_tests::chinook::*;
use sea_orm::{
    ConnectionTrait, DbErr, QuerySelect as _, QueryTrait as _, TransactionTrait, entity::prelude::*,
    sea_query::SelectStatement,
};

/// The ids of an artist's albums, as a subquery.
fn albums_of(artist: i32) -> SelectStatement {
    let albums = album::Entity::find().filter(album::Column::ArtistId.eq(artist));
    albums.select_only().column(album::Column::AlbumId).into_query()
}

/// The ids of an artist's tracks, as a subquery.
fn tracks_of(artist: i32) -> SelectStatement {
    let tracks = track::Entity::find().filter(track::Column::AlbumId.in_subquery(albums_of(artist)));
    tracks.select_only().column(track::Column::TrackId).into_query()
}

/// Deletes an artist with everything that depends on it: a statement per table, all in one transaction.
pub(super) async fn artist_and_all<C>(conn: &C, artist: i32) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let tx = conn.begin().await?;
    let lines = invoice_line::Column::TrackId.in_subquery(tracks_of(artist));
    invoice_line::Entity::delete_many().filter(lines).exec(&tx).await?;
    let entries = playlist_track::Column::TrackId.in_subquery(tracks_of(artist));
    playlist_track::Entity::delete_many().filter(entries).exec(&tx).await?;
    let tracks = track::Column::AlbumId.in_subquery(albums_of(artist));
    track::Entity::delete_many().filter(tracks).exec(&tx).await?;
    album::Entity::delete_many()
        .filter(album::Column::ArtistId.eq(artist))
        .exec(&tx)
        .await?;
    artist::Entity::delete_by_id(artist).exec(&tx).await?;
    sea_orm::TransactionSession::commit(tx).await
}

/// Deletes a customer with invoices and their lines, row by row, each in a transaction of its own.
pub(super) async fn customer_and_all<C>(conn: &C, customer: i32) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let invoices = invoice::Entity::find().filter(invoice::Column::CustomerId.eq(customer));
    for invoice in invoices.all(conn).await? {
        let lines = invoice_line::Entity::find().filter(invoice_line::Column::InvoiceId.eq(invoice.invoice_id));
        for line in lines.all(conn).await? {
            invoice_line::ActiveModel::from(line).delete(conn).await?;
        }
        invoice::ActiveModel::from(invoice).delete(conn).await?;
    }
    customer::Entity::delete_by_id(customer).exec(conn).await.map(drop)
}
