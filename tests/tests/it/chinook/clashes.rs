//! What both do to the same rows, not knowing of each other.

use grove_crdt::prelude::*;
use grove_crdt_tests::chinook::*;
use sea_orm::{ActiveValue::Set, DbErr, entity::prelude::*};

use super::{Artist, branch::entry, deletes, parked};

/// A track of Queen's, its album, and a playlist that it is put in.
const SONG: i32 = 2_254;
const ALBUM_OF_SONG: i32 = 185;
const PLAYLIST: i32 = 18;
/// Album of [`Artist::AUDIOSLAVE`], which the head office gives to [`Artist::WITHOUT_ALBUMS`].
const MOVED_ALBUM: i32 = 10;

/// The head office's part.
pub(super) async fn office(office: &Replica) -> Result<(), DbErr> {
    let first = track::ActiveModel {
        track_id: Set(1),
        name: Set("By the office".to_owned()),
        ..Default::default()
    };
    first.update(office).await?;
    let second = track::ActiveModel {
        track_id: Set(2),
        name: Set("By the office".to_owned()),
        ..Default::default()
    };
    second.update(office).await?;
    genre::ActiveModel {
        genre_id: Set(26),
        name: Set(Some("Of the office".to_owned())),
    }
    .insert(office)
    .await?;
    deletes::artist_and_all(office, Artist::METALLICA).await?;
    deletes::artist_and_all(office, Artist::DEEP_PURPLE).await?;
    deletes::artist_and_all(office, Artist::QUEEN).await?;
    move_album(office, Artist::WITHOUT_ALBUMS).await
}

/// The branch's part, which comes later.
pub(super) async fn branch(branch: &Replica) -> Result<(), DbErr> {
    let first = track::ActiveModel {
        track_id: Set(1),
        composer: Set(None),
        ..Default::default()
    };
    first.update(branch).await?;
    let second = track::ActiveModel {
        track_id: Set(2),
        name: Set("By the branch".to_owned()),
        ..Default::default()
    };
    second.update(branch).await?;
    genre::ActiveModel {
        genre_id: Set(26),
        name: Set(Some("Of the branch".to_owned())),
    }
    .insert(branch)
    .await?;
    let titles = album::Entity::update_many().col_expr(album::Column::Title, Expr::value("Edited in vain"));
    let edited = titles
        .filter(album::Column::ArtistId.eq(Artist::METALLICA))
        .exec(branch)
        .await?;
    assert_eq!(edited.rows_affected, 10);
    deletes::artist_and_all(branch, Artist::DEEP_PURPLE).await?;
    entry(PLAYLIST, SONG).insert(branch).await?;
    artist::Entity::delete_by_id(Artist::WITHOUT_ALBUMS)
        .exec(branch)
        .await
        .map(drop)
}

async fn move_album(replica: &Replica, artist: i32) -> Result<(), DbErr> {
    let moved = album::ActiveModel {
        album_id: Set(MOVED_ALBUM),
        artist_id: Set(artist),
        ..Default::default()
    };
    moved.update(replica).await.map(drop)
}

/// Where a change needs what the other side has deleted, foreign keys hold, and what they refuse waits: the dependant
/// where the parent is gone already, the deletion where the dependant is still there.
pub(super) async fn are_parked(office: &Replica, branch: &Replica) {
    let at = |table: &str, pk: String| (table.to_owned(), pk);
    let expected = [
        at("Artist", Artist::WITHOUT_ALBUMS.to_string()),
        at("PlaylistTrack", format!("[{PLAYLIST},{SONG}]")),
    ];
    assert_eq!(parked(office).await, expected);
    let expected = [
        at("Album", MOVED_ALBUM.to_string()),
        at("Album", ALBUM_OF_SONG.to_string()),
        at("Artist", Artist::QUEEN.to_string()),
        at("Track", SONG.to_string()),
    ];
    assert_eq!(parked(branch).await, expected);
}

/// Each side gives way once, with an ordinary write.
pub(super) async fn resolve(office: &Replica, branch: &Replica) -> Result<(), DbErr> {
    playlist_track::Entity::delete_by_id((PLAYLIST, SONG))
        .exec(branch)
        .await?;
    move_album(office, Artist::AUDIOSLAVE).await
}

/// What came of it, once everything is settled.
pub(super) async fn are_resolved(replica: &Replica) -> Result<(), DbErr> {
    let first = track::Entity::find_by_id(1).one(replica).await?.expect("the track");
    assert_eq!(
        (first.name.as_str(), first.composer),
        ("By the office", None),
        "two columns of one row both count"
    );
    let second = track::Entity::find_by_id(2).one(replica).await?.expect("the track");
    assert_eq!(second.name, "By the branch", "the later write of one column counts");
    let genre = genre::Entity::find_by_id(26).one(replica).await?.expect("the genre");
    assert_eq!(
        genre.name.as_deref(),
        Some("Of the branch"),
        "the later of two births counts"
    );
    let vain = album::Entity::find().filter(album::Column::Title.eq("Edited in vain"));
    assert_eq!(
        vain.count(replica).await?,
        0,
        "a deletion beats edits that it did not know"
    );
    for gone in [
        Artist::METALLICA,
        Artist::DEEP_PURPLE,
        Artist::QUEEN,
        Artist::WITHOUT_ALBUMS,
    ] {
        assert_eq!(artist::Entity::find_by_id(gone).one(replica).await?, None);
        assert_eq!(
            album::Entity::find()
                .filter(album::Column::ArtistId.eq(gone))
                .count(replica)
                .await?,
            0
        );
    }
    assert_eq!(track::Entity::find_by_id(SONG).one(replica).await?, None);
    let moved = album::Entity::find_by_id(MOVED_ALBUM)
        .one(replica)
        .await?
        .expect("the album");
    assert_eq!(moved.artist_id, Artist::AUDIOSLAVE);
    Ok(())
}
