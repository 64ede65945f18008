//! What the head office does while the branch is away: mostly to what is for sale, and with its people.

use grove_crdt::prelude::*;
use grove_crdt_tests::{chinook::*, sql};
use rust_decimal::Decimal;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait as _, DbErr, TransactionTrait as _, entity::prelude::*, sea_query::ExprTrait as _,
};

use super::{Artist, deletes};

/// More than a hundred updates and inserts, and an artist and a customer deleted with all that depends on them.
pub(super) async fn edit(office: &Replica) -> Result<(), DbErr> {
    remaster(office).await?;
    reprice(office).await?;
    publish(office).await?;
    sign_an_artist(office).await?;
    reorganise(office).await?;
    deletes::artist_and_all(office, Artist::LED_ZEPPELIN).await?;
    deletes::customer_and_all(office, 12).await?;
    // A playlist without entries gets another key, which is a delete and a birth.
    let renumber = playlist::Entity::update_many()
        .col_expr(playlist::Column::PlaylistId, Expr::value(102))
        .filter(playlist::Column::PlaylistId.eq(2));
    renumber.exec(office).await.map(drop)
}

/// Updates of loaded rows, one transaction each.
async fn remaster(office: &Replica) -> Result<(), DbErr> {
    let tracks = track::Entity::find()
        .filter(track::Column::GenreId.eq(2))
        .all(office)
        .await?;
    assert_eq!(tracks.len(), 130, "jazz");
    for track in tracks {
        let name = format!("{} (Remastered)", track.name);
        let mut track = track::ActiveModel::from(track);
        track.name = Set(name);
        track.update(office).await?;
    }
    Ok(())
}

/// Updates of many rows at once: by a value, by an expression over the row, and in raw SQL.
async fn reprice(office: &Replica) -> Result<(), DbErr> {
    let shows = track::Entity::update_many()
        .col_expr(track::Column::UnitPrice, Expr::value(Decimal::new(2_50, 2)))
        .filter(track::Column::GenreId.is_in([18, 19, 20, 21, 22]));
    assert!(shows.exec(office).await?.rows_affected > 200);
    let longer = track::Entity::update_many()
        .col_expr(
            track::Column::Milliseconds,
            Expr::col(track::Column::Milliseconds).add(500),
        )
        .filter(track::Column::GenreId.eq(6));
    longer.exec(office).await?;
    let update = r#"UPDATE "Customer" SET "Company" = "FirstName" || ' & Co.', "Fax" = NULL WHERE "Country" = ?"#;
    assert_eq!(
        office.execute_raw(sql(update, ["USA".into()])).await?.rows_affected(),
        13
    );
    Ok(())
}

/// Ten artists with an album each, of ten tracks, set-wise in one transaction.
async fn publish(office: &Replica) -> Result<(), DbErr> {
    let tx = office.begin().await?;
    let artists = (1_000..1_010).map(|id| artist::ActiveModel {
        artist_id: Set(id),
        name: Set(Some(format!("№ {id}"))),
    });
    artist::Entity::insert_many(artists).exec_without_returning(&tx).await?;
    let albums = (1_000..1_010).map(|id| album::ActiveModel {
        album_id: Set(id),
        title: Set(format!("Début {id}")),
        artist_id: Set(id),
    });
    album::Entity::insert_many(albums).exec_without_returning(&tx).await?;
    let tracks = (10_000..10_100).map(|id| track(id, id / 10));
    track::Entity::insert_many(tracks).exec_without_returning(&tx).await?;
    sea_orm::TransactionSession::commit(tx).await
}

fn track(id: i32, album: i32) -> track::ActiveModel {
    track::ActiveModel {
        track_id: Set(id),
        name: Set(format!("Piece {id}")),
        album_id: Set(Some(album)),
        media_type_id: Set(1),
        genre_id: Set(None),
        composer: Set(None),
        milliseconds: Set(180_000),
        bytes: Set(None),
        unit_price: Set(Decimal::new(99, 2)),
    }
}

/// An artist with an album and its tracks, saved as one tree.
async fn sign_an_artist(office: &Replica) -> Result<(), DbErr> {
    let piece = |id: i32| {
        let piece = track::ActiveModel::builder()
            .set_track_id(id)
            .set_name("Étude")
            .set_media_type_id(1);
        piece.set_milliseconds(60_000).set_unit_price(Decimal::new(1_00, 2))
    };
    let album = album::ActiveModel::builder().set_album_id(2_000).set_title("Études");
    let album = album.add_track(piece(20_000)).add_track(piece(20_001));
    let artist = artist::ActiveModel::builder()
        .set_artist_id(2_000)
        .set_name(Some("Ensemble".to_owned()));
    artist.add_album(album).insert(office).await.map(drop)
}

/// A new chief above the old one, and a chain of people who come and go: each reports to one with a higher number, so
/// that neither births nor deaths can be written in the order of their keys.
async fn reorganise(office: &Replica) -> Result<(), DbErr> {
    for (id, reports_to) in [(30, None), (29, Some(30)), (28, Some(29)), (27, Some(28))] {
        let hired = employee::ActiveModel {
            employee_id: Set(id),
            last_name: Set(format!("Nº {id}")),
            first_name: Set("New".to_owned()),
            reports_to: Set(reports_to),
            hire_date: Set("2026-01-02T03:04:05".parse().ok()),
            ..Default::default()
        };
        hired.insert(office).await?;
    }
    let below = employee::ActiveModel {
        employee_id: Set(1),
        reports_to: Set(Some(27)),
        ..Default::default()
    };
    below.update(office).await.map(drop)
}

/// Takes back what [`reorganise`] did, when the branch knows of it.
pub(super) async fn dismiss(office: &Replica) -> Result<(), DbErr> {
    let tx = office.begin().await?;
    let above = employee::ActiveModel {
        employee_id: Set(1),
        reports_to: Set(None),
        ..Default::default()
    };
    above.update(&tx).await?;
    for id in [27, 28, 29, 30] {
        employee::Entity::delete_by_id(id).exec(&tx).await?;
    }
    sea_orm::TransactionSession::commit(tx).await
}
