//! The same shop on databases of different kinds.

use grove_crdt::prelude::*;
use grove_crdt_tests::{
    Kind, TestDatabase, cells,
    chinook::{self, Data, *},
    chinook_tables,
    database::{go_on_with, run_on_all},
    serve::serve,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, DbErr, EntityName as _, entity::prelude::*};

use super::{branch, data, office, parked, rows_and_cells_agree, same_data};

/// A replica, and how it reaches another.
struct Node {
    kind: Kind,
    replica: Replica,
    syncer: Option<Syncer>,
    _database: TestDatabase,
}

impl Node {
    /// A replica of empty tables, on a database of this kind.
    async fn new(name: &str, kind: Kind) -> Self {
        go_on_with(kind);
        let database = TestDatabase::new().await;
        let db = database.connect().await;
        chinook::create_tables(&db).await.expect("the tables");
        if matches!(kind, Kind::MySql | Kind::MariaDb) {
            // Half seconds are to be kept here as they are elsewhere.
            let exact = "ALTER TABLE `Invoice` MODIFY `InvoiceDate` DATETIME(6) NOT NULL";
            db.execute_unprepared(exact).await.expect("an exact column");
        }
        let replica = chinook::builder(name).open(db).await.expect("a replica");
        Self {
            kind,
            replica,
            syncer: None,
            _database: database,
        }
    }

    async fn sync_with(&mut self, other: &Replica) {
        let url = serve(other).await;
        let peer = HttpTransport::new(&url).expect("a URL").named(other.node_id().as_str());
        let syncer = Syncer::builder(&self.replica).peer(peer).build();
        self.syncer = Some(syncer.expect("a syncer"));
    }
}

/// Syncs until nobody has news for anybody.
async fn sync_all(nodes: &[Node]) {
    for _ in 0..10 {
        let mut news = 0;
        for node in nodes {
            if let Some(syncer) = &node.syncer {
                let report = syncer.sync().await.expect("a sync");
                println!("{}: {report}", node.replica.node_id());
                assert_eq!(report.rejected, 0, "{report}");
                news += report.pulled + report.pushed;
            }
        }
        if news == 0 {
            return;
        }
    }
    panic!("they never run out of news");
}

/// All hold the same rows and cells, and nothing waits.
async fn all_are_equal(nodes: &[Node]) {
    let mut tables = Vec::new();
    for node in nodes {
        go_on_with(node.kind);
        assert_eq!(parked(&node.replica).await, [], "parked at {}", node.replica.node_id());
        assert_eq!(node.replica.dead_letters().await.expect("dead letters"), []);
        rows_and_cells_agree(&node.replica).await;
        let mut all = Vec::new();
        macro_rules! collect {
            ($module:ident, $rows:ident) => {
                all.extend(cells(&node.replica, $module::Entity.table_name()).await);
            };
        }
        chinook_tables!(collect);
        all.sort();
        tables.push((Data::read(&node.replica).await.expect("the rows").sorted(), all));
    }
    let (rows, cells) = &tables[0];
    for (node, (found, found_cells)) in nodes.iter().zip(&tables).skip(1) {
        println!(
            "comparing {} with {}",
            node.replica.node_id(),
            nodes[0].replica.node_id()
        );
        same_data(found, rows);
        for (one, other) in found_cells.iter().zip(cells) {
            assert_eq!(one, other, "at {}", node.replica.node_id());
        }
        assert_eq!(found_cells.len(), cells.len());
    }
}

/// What nobody else touches: a genre, and who looks after a customer.
async fn rename(replica: &Replica, genre: i32, customer: i32) -> Result<(), DbErr> {
    let renamed = genre::ActiveModel {
        genre_id: Set(genre),
        name: Set(Some(format!("Génre 𝄞 of {}", replica.node_id()))),
    };
    renamed.update(replica).await?;
    let update = customer::Entity::update_many()
        .col_expr(customer::Column::SupportRepId, Expr::value(4))
        .filter(customer::Column::CustomerId.eq(customer));
    assert_eq!(update.exec(replica).await?.rows_affected, 1);
    let hired = employee::ActiveModel {
        employee_id: Set(100 + genre),
        last_name: Set(replica.node_id().to_string()),
        first_name: Set("Ñandú".to_owned()),
        hire_date: Set("2026-01-02T03:04:05".parse().ok()),
        ..Default::default()
    };
    hired.insert(replica).await.map(drop)
}

/// SQLite → PostgreSQL → MariaDB → MySQL → SQLite over HTTP, each edited apart, and all five are equal.
#[test]
fn a_chain_through_all_databases_ends_with_equal_rows() {
    run_on_all(async || {
        let Some(data) = data() else { return };
        let kinds = [Kind::Sqlite, Kind::Postgres, Kind::MariaDb, Kind::MySql, Kind::Sqlite];
        let mut nodes = Vec::new();
        for (number, kind) in kinds.into_iter().enumerate() {
            let mut node = Node::new(&format!("node-{number}"), kind).await;
            if let Some(Node { replica, .. }) = nodes.last() {
                node.sync_with(replica).await;
            }
            nodes.push(node);
        }
        go_on_with(Kind::Sqlite);
        data.insert(&nodes[0].replica.untracked()).await.expect("the rows");
        chinook::adopt(&nodes[0].replica).await.expect("an adoption");
        sync_all(&nodes).await;
        all_are_equal(&nodes).await;

        go_on_with(nodes[0].kind);
        office::edit(&nodes[0].replica).await.expect("the office's edits");
        go_on_with(nodes[1].kind);
        branch::edit(&nodes[1].replica).await.expect("the branch's edits");
        for (node, number) in nodes.iter().zip(20..) {
            go_on_with(node.kind);
            rename(&node.replica, number, number).await.expect("edits");
        }
        sync_all(&nodes).await;
        all_are_equal(&nodes).await;
    });
}

/// A hub on PostgreSQL with spokes on SQLite, MariaDB and MySQL.
#[test]
fn a_hub_with_spokes_on_other_databases() {
    run_on_all(async || {
        let Some(data) = data() else { return };
        let hub = Node::new("hub", Kind::Postgres).await;
        let mut nodes = vec![hub];
        let spokes = [Kind::Sqlite, Kind::MariaDb, Kind::MySql];
        for (kind, name) in spokes.into_iter().zip(["spoke-1", "spoke-2", "spoke-3"]) {
            let mut spoke = Node::new(name, kind).await;
            spoke.sync_with(&nodes[0].replica).await;
            nodes.push(spoke);
        }
        // The same data joined on two of them is one history.
        for node in &nodes[..2] {
            go_on_with(node.kind);
            data.insert(&node.replica.untracked()).await.expect("the rows");
            chinook::adopt(&node.replica).await.expect("an adoption");
        }
        sync_all(&nodes).await;
        all_are_equal(&nodes).await;
        go_on_with(nodes[2].kind);
        branch::edit(&nodes[2].replica).await.expect("the branch's edits");
        go_on_with(nodes[1].kind);
        office::edit(&nodes[1].replica).await.expect("the office's edits");
        sync_all(&nodes).await;
        all_are_equal(&nodes).await;
        // One row, written everywhere at once.
        for (node, number) in nodes.iter().zip(0..) {
            go_on_with(node.kind);
            let renamed = genre::ActiveModel {
                genre_id: Set(3),
                name: Set(Some(format!("name {number}"))),
            };
            renamed.update(&node.replica).await.expect("an edit");
        }
        sync_all(&nodes).await;
        all_are_equal(&nodes).await;
    });
}
