//! Taking over what other replicas did.

mod convergence;
mod counting;
mod deep_cascades;
mod deletes;
mod hostile;
mod large_sets;
pub mod library;
mod local_columns;
mod loose_keys;
mod one_row;
mod packet;
mod parking;
mod parking_chain;
mod parking_counters;
mod parking_cut_off;
mod parking_edits;
mod parking_writes;
mod refused;
mod released;
mod schema_growth;
pub mod support;
mod unique;
