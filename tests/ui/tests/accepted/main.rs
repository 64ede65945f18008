//! What `#[derive(Crdt)]` accepts: a module for each way to write an entity. That they compile is most of what they show.

// Nothing uses most of what they define.
#![allow(dead_code)]

mod auto_increment_allowed;
mod classic;
mod compact_model;
mod composite_key;
mod manual_behavior;
mod model_with_relations;
mod names;
mod private_model;
mod value_types;
