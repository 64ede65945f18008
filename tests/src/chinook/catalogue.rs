//! What is for sale, and in which lists it stands.

/// A genre.
pub mod genre {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Genre", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub genre_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(120))", nullable)]
        pub name: Option<String>,
        #[sea_orm(has_many)]
        pub tracks: HasMany<super::track::Entity>,
    }
}

/// A file format.
pub mod media_type {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "MediaType", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub media_type_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(120))", nullable)]
        pub name: Option<String>,
        #[sea_orm(has_many)]
        pub tracks: HasMany<super::track::Entity>,
    }
}

/// An artist.
pub mod artist {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Artist", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub artist_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(120))", nullable)]
        pub name: Option<String>,
        #[sea_orm(has_many)]
        pub albums: HasMany<super::album::Entity>,
    }
}

/// An album.
pub mod album {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Album", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub album_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(160))")]
        pub title: String,
        #[crdt(lww)]
        pub artist_id: i32,
        #[sea_orm(belongs_to, from = "artist_id", to = "artist_id")]
        pub artist: BelongsTo<super::artist::Entity>,
        #[sea_orm(has_many)]
        pub tracks: HasMany<super::track::Entity>,
    }
}

/// A track.
pub mod track {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Track", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub track_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub name: String,
        #[crdt(lww)]
        pub album_id: Option<i32>,
        #[crdt(lww)]
        pub media_type_id: i32,
        #[crdt(lww)]
        pub genre_id: Option<i32>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(220))", nullable)]
        pub composer: Option<String>,
        #[crdt(lww)]
        pub milliseconds: i32,
        #[crdt(lww)]
        pub bytes: Option<i32>,
        #[crdt(lww)]
        #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
        pub unit_price: Decimal,
        #[sea_orm(belongs_to, from = "album_id", to = "album_id")]
        pub album: BelongsTo<Option<super::album::Entity>>,
        #[sea_orm(belongs_to, from = "media_type_id", to = "media_type_id")]
        pub media_type: BelongsTo<super::media_type::Entity>,
        #[sea_orm(belongs_to, from = "genre_id", to = "genre_id")]
        pub genre: BelongsTo<Option<super::genre::Entity>>,
        #[sea_orm(has_many, via = "playlist_track")]
        pub playlists: HasMany<super::playlist::Entity>,
    }
}

/// A playlist.
pub mod playlist {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Playlist", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub playlist_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(120))", nullable)]
        pub name: Option<String>,
        #[sea_orm(has_many, via = "playlist_track")]
        pub tracks: HasMany<super::track::Entity>,
    }
}

/// A track in a playlist: all of it is its key.
pub mod playlist_track {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "PlaylistTrack", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub playlist_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub track_id: i32,
        #[sea_orm(belongs_to, from = "playlist_id", to = "playlist_id")]
        pub playlist: BelongsTo<super::playlist::Entity>,
        #[sea_orm(belongs_to, from = "track_id", to = "track_id")]
        pub track: BelongsTo<super::track::Entity>,
    }
}
