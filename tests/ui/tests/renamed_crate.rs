//! `crate = "…"`: nothing in the generated code may still name `::grove_crdt`, which here is a crate that has none of
//! what it needs.

// Nothing uses the entities.
#![allow(dead_code)]

pub extern crate grove_crdt as renamed;
extern crate std as grove_crdt;

mod reexported {
    pub mod deep {
        pub use crate::renamed as crdt;
    }
}

mod document {
    use renamed::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    #[crdt(crate = "crate::reexported::deep::crdt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(counter)]
        pub view_count: i64,
        #[crdt(set)]
        pub tags: OrSet<String>,
        pub author: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod bare_path {
    use renamed as other;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, other::Crdt)]
    #[sea_orm(table_name = "documents")]
    #[crdt(crate = other)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
    }
}
