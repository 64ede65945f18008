//! ```sh
//! cd examples/loco && cargo run -- start
//! ```

use grove_crdt_loco_example::{app::App, migration::Migrator};

#[tokio::main]
async fn main() -> loco_rs::Result<()> {
    Box::pin(loco_rs::cli::main::<App, Migrator>()).await
}
