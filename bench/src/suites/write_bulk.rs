use sea_orm::{DatabaseConnection, DbBackend};

use crate::{
    database::{self, Database},
    documents::{self, plain, replicated},
    harness::{Bench, Case, Target, Timer, Unit},
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    for backend in database::reachable().await {
        inserts(bench, backend).await?;
        updates(bench, backend).await?;
    }
    Ok(())
}

/// Into new databases each time.
async fn inserts(bench: &mut Bench, backend: DbBackend) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let case = case("insert_many", backend, "SeaORM insert_many").target(Target::Times(2.2));
    bench
        .compare(
            case,
            bench.rounds(1, 3),
            async |_| {
                let database = Database::create(backend).await?;
                let replica = replicated::open("node-1", with_table(&database).await?).await?;
                let timer = Timer::start();
                documents::insert_many::<replicated::ActiveModel>(&replica, 0..rows).await?;
                Ok(timer.each(rows))
            },
            async |_| {
                let database = Database::create(backend).await?;
                let db = with_table(&database).await?;
                let timer = Timer::start();
                documents::insert_many::<plain::ActiveModel>(&db, 0..rows).await?;
                Ok(timer.each(rows))
            },
        )
        .await
}

/// Of the same rows each time, to another title.
async fn updates(bench: &mut Bench, backend: DbBackend) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let (one, other) = (Database::create(backend).await?, Database::create(backend).await?);
    let replica = replicated::open("node-1", with_table(&one).await?).await?;
    let plain = with_table(&other).await?;
    documents::insert_many::<replicated::ActiveModel>(&replica, 0..rows).await?;
    documents::insert_many::<plain::ActiveModel>(&plain, 0..rows).await?;
    let case = case("update_many", backend, "SeaORM update_many").target(Target::Times(4.0));
    bench
        .compare(
            case,
            bench.rounds(1, 3),
            async |round| {
                let (title, timer) = (format!("title {round}"), Timer::start());
                documents::retitle_many::<replicated::Entity>(&replica, 0..rows, &title).await?;
                Ok(timer.each(rows))
            },
            async |round| {
                let (title, timer) = (format!("title {round}"), Timer::start());
                documents::retitle_many::<plain::Entity>(&plain, 0..rows, &title).await?;
                Ok(timer.each(rows))
            },
        )
        .await
}

fn case(name: &str, backend: DbBackend, baseline: &'static str) -> Case {
    let name = format!("{name} by thousands, {}", database::name(backend));
    Case::new(name, Unit::per_second("rows"), baseline)
}

async fn with_table(database: &Database) -> anyhow::Result<DatabaseConnection> {
    let db = database.connect().await?;
    documents::create_table(&db).await?;
    Ok(db)
}
