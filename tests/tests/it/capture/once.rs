//! Blind writes of which some records are left out: what was written stays done, and the rest is done once.

use grove_crdt::{Counter, Replica};
use grove_crdt_tests::{
    START, assert_agrees, builder, create_table, database::for_all, entities::document, new_database, run_all,
};
use proptest::prelude::*;
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait, EntityTrait, ExprTrait as _, TransactionSession, TransactionTrait,
    sea_query::Expr,
};

use super::{draft, execute, sql};

mod tally {
    use grove_crdt::{Counter, Crdt};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "tallies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub name: String,
        #[crdt(lww)]
        pub note: String,
        #[crdt(counter)]
        pub ups: Counter,
        #[crdt(counter)]
        pub downs: Counter,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// Beyond what is counted without being read.
const LARGE: i64 = 2_000_000_000_000_000;

async fn replica() -> Replica {
    let db = new_database().await;
    create_table(&db, tally::Entity).await.unwrap();
    create_table(&db, document::Entity).await.unwrap();
    let builder = builder("node-1").0.entity::<tally::Entity>();
    builder.entity::<document::Entity>().open(db).await.unwrap()
}

async fn agrees(replica: &Replica) {
    assert_agrees::<tally::Entity, _>(replica).await;
    assert_agrees::<document::Entity, _>(replica).await;
}

/// What a node whose clock is ahead has done last to a record.
async fn is_ahead(replica: &Replica, table: &str, id: &str) {
    let ahead = START + 500_000;
    let text = format!("UPDATE \"_{table}_crdt\" SET hlc_ts = {ahead} WHERE pk = '{id}'");
    run_all(replica.connection(), &[text.as_str()]).await;
}

/// A row that came to be before it was replicated, or behind the replica's back.
async fn unadopted(replica: &Replica, id: &str) {
    let text = format!("INSERT INTO documents VALUES ('{id}', 'unadopted', 10, '[]', NULL)");
    run_all(replica.connection(), &[text.as_str()]).await;
}

/// Three documents, of which the second can't be written blindly.
async fn three(second: &str) -> Replica {
    let replica = replica().await;
    for id in ["d1", "d3"] {
        draft(id).insert(&replica).await.unwrap();
    }
    if second == "ahead" {
        draft("d2").insert(&replica).await.unwrap();
        is_ahead(&replica, "documents", "d2").await;
    } else {
        unadopted(&replica, "d2").await;
    }
    replica
}

async fn views(replica: &Replica) -> Vec<i64> {
    agrees(replica).await;
    let mut rows = document::Entity::find().all(replica).await.unwrap();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows.iter().map(|row| row.view_count).collect()
}

async fn view<C: ConnectionTrait + TransactionTrait>(conn: &C, id: &str) {
    document::ActiveModel::increment_view_count(conn, id, 1).await.unwrap();
}

#[apply(on_each_database!)]
async fn an_update_counts_once_although_a_record_of_it_is_left_out() {
    for second in ["ahead", "unadopted"] {
        let replica = three(second).await;
        let step = Expr::col(document::Column::ViewCount).add(1);
        let update = document::Entity::update_many().col_expr(document::Column::ViewCount, step);
        update.exec(&replica).await.unwrap();
        assert_eq!(views(&replica).await, [11, 11, 11], "{second}");
    }
}

#[apply(on_each_database!)]
async fn steps_of_a_transaction_count_once_although_a_record_is_left_out() {
    for second in ["ahead", "unadopted"] {
        let replica = three(second).await;
        let tx = replica.begin().await.unwrap();
        for id in ["d1", "d2"] {
            view(&tx, id).await;
        }
        tx.commit().await.unwrap();
        assert_eq!(views(&replica).await, [11, 11, 10], "{second}");
        view(&replica, "d1").await;
        assert_eq!(views(&replica).await, [12, 11, 10], "{second}");
    }
}

/// What is written later is above all that the record has, the cell of the other counter included.
#[apply(on_each_database!)]
async fn a_counter_counts_once_although_the_other_of_its_record_is_left_out() {
    for with_another in [false, true] {
        let replica = replica().await;
        let row = |id: &str, ups| tally::ActiveModel {
            id: Set(id.to_owned()),
            name: Set(String::new()),
            note: Set(String::new()),
            ups: Set(Counter::new(ups)),
            downs: Set(Counter::new(1)),
        };
        let large = row("large", LARGE).insert(&replica).await.unwrap();
        row("small", 1).insert(&replica).await.unwrap();
        let (mut ups, mut downs) = (large.ups, large.downs);
        ups += 1;
        downs += 1;
        let change = tally::ActiveModel {
            id: Unchanged("large".into()),
            ups: Set(ups),
            downs: Set(downs),
            ..Default::default()
        };
        if with_another {
            let tx = replica.begin().await.unwrap();
            tally::ActiveModel::increment_ups(&tx, "small", 1).await.unwrap();
            change.update(&tx).await.unwrap();
            tx.commit().await.unwrap();
        } else {
            change.clone().update(&replica).await.unwrap();
            change.update_without_returning(&replica).await.unwrap();
        }
        agrees(&replica).await;
        let steps = if with_another { 1 } else { 2 };
        let shown = replica.inspect::<tally::Entity>("large").await.unwrap().to_string();
        let expected = format!("downs (counter): {} [node-1: +{} -0]", 1 + steps, 1 + steps);
        assert!(shown.contains(&expected), "{shown}");
    }
}

/// On SQLite, more than one statement takes.
#[apply(on_each_database!)]
async fn each_of_very_many_steps_counts_once_although_a_record_is_left_out() {
    let replica = replica().await;
    // In halves: SQLite takes so many values in a statement.
    for rows in [0..3_500, 3_500..7_000] {
        let rows = rows.map(|n| draft(&format!("{n:04}")));
        document::Entity::insert_many(rows)
            .exec_without_returning(&replica)
            .await
            .unwrap();
    }
    for id in ["0007", "6999"] {
        is_ahead(&replica, "documents", id).await;
    }
    execute(&replica, "UPDATE documents SET view_count = view_count + 1", []).await;
    for id in ["0000", "0007", "6399", "6998", "6999"] {
        let shown = replica.inspect::<document::Entity>(id).await.unwrap().to_string();
        assert!(shown.contains("view_count (counter): 11 [node-1: +11 -0]"), "{shown}");
    }
    let counted = "SELECT count(*) FROM \"_documents_crdt\" WHERE state = '{\"dec\":0,\"inc\":11}'";
    assert_eq!(grove_crdt_tests::number(&replica, counted).await, 7_000);
}

/// What is known of a row before the transaction.
#[derive(Clone, Copy, Debug)]
enum Known {
    Nothing,
    Death,
    Birth,
    /// Cells beside its birth.
    Cells,
    /// A clock that is ahead.
    Ahead,
    /// A counter of which much is made.
    Large,
    /// Only that it is there.
    Row,
}

impl Known {
    fn is_there(self) -> bool {
        !matches!(self, Self::Nothing | Self::Death)
    }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Birth,
    Death,
    Assignment,
    Increment,
}

/// What a transaction does to the rows of a table.
#[derive(Clone, Debug)]
struct Share {
    known: Vec<Known>,
    /// What is done to each row.
    deeds: Vec<Deed>,
    /// Whether both fields are written, or the one.
    both: bool,
}

fn share() -> impl Strategy<Value = Share> {
    let known = prop_oneof![
        2 => Just(Known::Nothing),
        1 => Just(Known::Death),
        3 => Just(Known::Birth),
        2 => Just(Known::Cells),
        2 => Just(Known::Ahead),
        1 => Just(Known::Large),
        1 => Just(Known::Row),
    ];
    let deed = prop_oneof![
        Just(Deed::Birth),
        Just(Deed::Death),
        Just(Deed::Assignment),
        Just(Deed::Increment),
    ];
    // Mostly all of one kind, as it has to be to be written blindly.
    let deeds = prop_oneof![
        4 => deed.clone().prop_map(|deed| vec![deed; 4]),
        1 => prop::collection::vec(deed, 4),
    ];
    let all = (prop::collection::vec(known, 4), deeds, any::<bool>());
    all.prop_map(|(known, deeds, both)| Share { known, deeds, both })
}

/// A table, with its fields of each kind.
struct Names {
    table: &'static str,
    lww: &'static [&'static str],
    counters: &'static [&'static str],
    others: &'static str,
    values: &'static str,
}

const TABLES: [Names; 2] = [
    Names {
        table: "tallies",
        lww: &["name", "note"],
        counters: &["ups", "downs"],
        others: "",
        values: "",
    },
    Names {
        table: "documents",
        lww: &["title"],
        counters: &["view_count"],
        others: ", tags",
        values: ", '[\"a\"]'",
    },
];

impl Names {
    fn insert(&self, id: usize, first: i64) -> String {
        let Self {
            table, others, values, ..
        } = self;
        let columns = self
            .lww
            .iter()
            .chain(self.counters)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let texts = vec!["'old'".to_owned(); self.lww.len()];
        let numbers = [first, 5].map(|number| number.to_string());
        let own = [texts, numbers[..self.counters.len()].to_vec()].concat().join(", ");
        format!("INSERT INTO {table} (id, {columns}{others}) VALUES ('{id}', {own}{values})")
    }

    fn change(&self, id: usize, deed: Deed, both: bool) -> String {
        let (fields, value): (_, fn(&str) -> String) = match deed {
            Deed::Increment => (self.counters, |field| format!("{field} = {field} + 2")),
            _ => (self.lww, |field| format!("{field} = 'new'")),
        };
        let fields = fields.iter().take(if both { 2 } else { 1 });
        let set = fields.map(|field| value(field)).collect::<Vec<_>>().join(", ");
        format!("UPDATE {} SET {set} WHERE id = '{id}'", self.table)
    }

    fn delete(&self, id: usize) -> String {
        format!("DELETE FROM {} WHERE id = '{id}'", self.table)
    }

    /// A change that is never written blindly, nor is what comes with it.
    fn company(&self) -> String {
        let (lww, counter) = (self.lww[0], self.counters[0]);
        format!(
            "UPDATE {} SET {lww} = concat({lww}, '+'), {counter} = {counter} + 1 WHERE id = 'company'",
            self.table
        )
    }

    async fn set_up(&self, replica: &Replica, id: usize, known: Known) {
        let run = async |text: String| {
            execute(replica, &text, []).await;
        };
        let first = if matches!(known, Known::Large) { LARGE } else { 5 };
        match known {
            Known::Nothing => return,
            Known::Row => return run_all(replica.connection(), &[self.insert(id, first).as_str()]).await,
            _ => run(self.insert(id, first)).await,
        }
        match known {
            Known::Death => run(self.delete(id)).await,
            Known::Cells => {
                run(self.change(id, Deed::Assignment, true).replace("'new'", "'other'")).await;
                run(self.change(id, Deed::Increment, true)).await;
            }
            Known::Ahead => is_ahead(replica, self.table, &id.to_string()).await,
            _ => {}
        }
    }
}

/// The cells of the rows but for the company's, without their clock values.
async fn states(replica: &Replica) -> Vec<String> {
    let mut states = Vec::new();
    for Names { table, .. } in &TABLES {
        let text = format!(
            "SELECT concat(pk, '|', field, '|', cell, '|', epoch, '|', state) FROM \"_{table}_crdt\" WHERE pk < 'a'"
        );
        let rows = replica.query_all_raw(sql(&text, [])).await.unwrap();
        let cells = rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap());
        states.extend(cells.map(|cell| format!("{table} {cell}")));
    }
    states.sort();
    states
}

async fn compared(shares: [Share; 2]) {
    let (blind, reading) = (replica().await, replica().await);
    for replica in [&blind, &reading] {
        for (names, share) in TABLES.iter().zip(&shares) {
            let company = names.insert(0, 5).replace("'0'", "'company'");
            execute(replica, &company, []).await;
            for (id, known) in share.known.iter().enumerate() {
                names.set_up(replica, id, *known).await;
            }
        }
        let tx = replica.begin().await.unwrap();
        for (names, share) in TABLES.iter().zip(&shares) {
            for (id, (known, deed)) in share.known.iter().zip(&share.deeds).enumerate() {
                let text = match deed {
                    // What is not recorded has to be by the end.
                    Deed::Birth if matches!(known, Known::Row) => names.delete(id),
                    Deed::Birth if known.is_there() => continue,
                    Deed::Birth => names.insert(id, 7),
                    Deed::Death => names.delete(id),
                    deed => names.change(id, *deed, share.both),
                };
                execute(&tx, &text, []).await;
            }
            if std::ptr::eq(replica, &raw const reading) {
                execute(&tx, &names.company(), []).await;
            }
        }
        tx.commit().await.unwrap();
        agrees(replica).await;
    }
    assert_eq!(states(&blind).await, states(&reading).await);
}

#[apply(on_each_database!)]
fn what_is_written_blindly_in_part_is_what_would_be_written_after_reading(kind: Kind) {
    for_all(kind, &[share(), share()], 128, compared);
}
