use crate::{
    database::SqliteFile,
    documents::{self, plain, replicated},
    harness::{Bench, Case, Target, Unit, count},
    suites::node::Node,
};

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = bench.size(100_000, 2_000);
    let node = Node::filled("node", rows).await?;
    let plain_file = SqliteFile::new()?;
    let plain = plain_file.connect().await?;
    documents::create_table(&plain).await?;
    documents::insert_many::<plain::ActiveModel>(&plain, 0..rows).await?;
    compare(bench, "after inserts", 1.6, &node.file, &plain_file)?;
    documents::retitle_many::<replicated::Entity>(&node.replica, 0..rows, "updated").await?;
    documents::retitle_many::<plain::Entity>(&plain, 0..rows, "updated").await?;
    compare(bench, "after an update of each row", 1.8, &node.file, &plain_file)
}

fn compare(bench: &mut Bench, name: &str, most: f64, ours: &SqliteFile, plain: &SqliteFile) -> anyhow::Result<()> {
    let case = Case::new(name, Unit::Bytes, "the plain table").target(Target::Times(most));
    let [ours, plain] = [ours.size()?, plain.size()?].map(usize::try_from);
    bench.record(case, &[(count(ours?), count(plain?))]);
    Ok(())
}
