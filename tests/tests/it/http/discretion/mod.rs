//! What no answer tells: how the database is made, what it is called and what it says.
//!
//! Every test brings about failures that a peer can cause or meet, and looks through all that comes back: status line,
//! headers, bodies, events of streams and the messages of single changes.

mod changes;
mod database;
mod hooks;
mod requests;
mod waiting;
mod words;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use grove_crdt::{Crdt, OrSet, Replica, ReplicaBuilder, server::SyncServer};
use grove_crdt_tests::TestDatabase;
use reqwest::{Client, RequestBuilder, Response};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait as _, DatabaseConnection, Schema,
    entity::prelude::*,
    sea_query::{Check, ExprTrait as _, ForeignKey, Index},
};
use serde_json::{Value as Json, json};
use tracing::subscriber::DefaultGuard;

use super::{pull_body, push_body, request, serve};

/// An entry of a ledger, with a value of many a type.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_number: i32,
    #[crdt(lww)]
    pub voucher: String,
    #[crdt(lww)]
    pub small: i16,
    #[crdt(lww)]
    pub booked_on: Date,
    #[crdt(lww)]
    pub noted_at: DateTimeUtc,
    #[crdt(lww)]
    pub amount: Decimal,
    #[crdt(lww)]
    pub token: Option<Uuid>,
    #[crdt(lww)]
    pub paid: bool,
    #[crdt(lww)]
    pub share: f64,
    #[crdt(lww)]
    pub scan: Option<Vec<u8>>,
    #[crdt(lww)]
    pub place: Option<String>,
    #[crdt(counter)]
    pub hits: i64,
    #[crdt(set)]
    pub marks: OrSet<String>,
    pub internal_remark: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// A table with a key of several columns.
pub mod seat {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    /// A seat.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "seats")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub seat_row: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seat_letter: Uuid,
        #[crdt(lww)]
        pub guest: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// A table that is replicated, and that nobody asks for.
pub mod vault {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    /// A vault.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "zz_vaults")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub vault_code: String,
        #[crdt(lww)]
        pub content: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// Makes the tables, with constraints whose names tell them.
async fn create_tables(db: &DatabaseConnection) {
    let schema = Schema::new(db.get_database_backend());
    let vaults = schema.create_table_from_entity(vault::Entity);
    let seats = schema.create_table_from_entity(seat::Entity);
    let mut entries = schema.create_table_from_entity(Entity);
    entries
        .check(Check::named("zz_small_check", Expr::col("small").lt(100)))
        .index(Index::create().unique().name("zz_voucher_key").col("voucher"))
        .foreign_key(
            ForeignKey::create()
                .name("zz_place_fkey")
                .from("entries", "place")
                .to("zz_vaults", "vault_code"),
        );
    for table in [vaults, seats, entries] {
        db.execute(&table).await.unwrap();
    }
}

/// A replica of all three tables, with an entry.
async fn ledger(db: DatabaseConnection, set_up: impl FnOnce(ReplicaBuilder) -> ReplicaBuilder) -> Replica {
    create_tables(&db).await;
    let builder = Replica::builder("cloud")
        .entity::<Entity>()
        .entity::<seat::Entity>()
        .entity::<vault::Entity>();
    let replica = set_up(builder).open(db).await.unwrap();
    entry(1).insert(&replica).await.unwrap();
    replica
}

/// The same in a database of its own, and its server.
async fn ledger_server() -> (TestDatabase, Replica, String) {
    let database = TestDatabase::new().await;
    let replica = ledger(database.connect().await, |builder| builder).await;
    let url = serve(SyncServer::builder(&replica).allow_anonymous().router()).await;
    (database, replica, url)
}

fn entry(number: i32) -> ActiveModel {
    ActiveModel {
        entry_number: Set(number),
        voucher: Set(format!("v-{number}")),
        small: Set(1),
        booked_on: Set("2024-02-29".parse().unwrap()),
        noted_at: Set("2024-02-29T12:34:56Z".parse().unwrap()),
        amount: Set("1.50".parse().unwrap()),
        token: Set(None),
        paid: Set(true),
        share: Set(0.5),
        scan: Set(None),
        place: Set(None),
        hits: Set(0),
        marks: Set(OrSet::new()),
        internal_remark: Set(Some("a secret remark".to_owned())),
    }
}

/// The birth of an entry as a peer pushes it, but for what `fields` says otherwise.
fn birth(number: i32, fields: Json) -> Json {
    let mut lww = json!({
        "voucher": format!("v-{number}"), "small": 1, "booked_on": "2024-02-29", "noted_at": "2024-02-29T12:34:56Z",
        "amount": "1.50", "token": null, "paid": true, "share": 0.5, "scan": null, "place": null,
    });
    for (field, value) in fields.as_object().expect("fields") {
        lww[field] = value.clone();
    }
    json!({
        "table": "entries", "pk": number.to_string(), "field": "", "crdt_type": "record", "epoch": 1, "node_id": "edge",
        "hlc": { "ts": grove_crdt_tests::START, "c": 0, "node": "edge" },
        "value": { "lww": lww, "counter": { "hits": 0 }, "set": { "marks": [] } },
    })
}

/// A pull of the entries.
fn entries() -> Json {
    let mut body = pull_body();
    body["tables"] = json!(["entries"]);
    body
}

/// All that a peer can read of an answer.
struct Told {
    status: u16,
    /// Head and body.
    text: String,
}

impl Told {
    /// Asks, and sees that the answer is discreet. What was `asked` may be repeated.
    async fn to(asked: &str, request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, head) = Self::head(&response);
        let text = head + &String::from_utf8_lossy(&response.bytes().await.unwrap());
        words::assert_discreet(asked, &text);
        Self { status, text }
    }

    fn head(response: &Response) -> (u16, String) {
        let status = response.status();
        let headers = response.headers().iter();
        let lines = headers.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        (status.as_u16(), format!("{status}\n{}\n", lines.collect::<String>()))
    }

    async fn post(url: &str, route: &str, body: &Json) -> Self {
        let body = body.to_string();
        Self::to(&body, request(&format!("{url}/{route}")).body(body.clone())).await
    }

    async fn get(url: &str, path: &str) -> Self {
        Self::to(path, Client::new().get(format!("{url}/{path}"))).await
    }

    /// Opens a stream, and reads what comes until it holds `until`, or it ends.
    async fn stream(url: &str, query: &str, until: &str) -> Self {
        Self::open(url, query).await.goes_on_to(until).await
    }

    async fn open(url: &str, query: &str) -> OpenStream {
        let response = Client::new().get(format!("{url}/stream?{query}")).send().await.unwrap();
        let (status, text) = Self::head(&response);
        OpenStream {
            asked: query.to_owned(),
            response,
            told: Self { status, text },
        }
    }

    #[track_caller]
    fn is(&self, status: u16, code: &str) {
        let code = format!("\"code\":\"{code}\"");
        assert!(
            self.status == status && self.text.contains(&code),
            "not {status} {code}: {}",
            self.text
        );
    }
}

struct OpenStream {
    asked: String,
    response: Response,
    told: Told,
}

impl OpenStream {
    async fn goes_on_to(mut self, until: &str) -> Told {
        let reading = async {
            while !self.told.text.contains(until) {
                match self.response.chunk().await {
                    Ok(Some(chunk)) => self.told.text += std::str::from_utf8(&chunk).unwrap(),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // Comments go on for ever.
        let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
        assert!(read.is_ok(), "no {until}: {}", self.told.text);
        words::assert_discreet(&self.asked, &self.told.text);
        self.told
    }
}

/// What is logged on this thread, while this lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
