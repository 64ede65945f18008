//! What the branch does while it is away: mostly to customers, invoices and playlists.

use grove_crdt::prelude::*;
use grove_crdt_tests::chinook::*;
use rust_decimal::Decimal;
use sea_orm::{ActiveValue::Set, DbErr, TransactionSession as _, TransactionTrait as _, entity::prelude::*};

use super::{Artist, deletes};

/// Hundreds of updates, inserts and deletes, and something that is taken back.
pub(super) async fn edit(branch: &Replica) -> Result<(), DbErr> {
    correct(branch).await?;
    sell(branch).await?;
    compile_playlists(branch).await?;
    deletes::artist_and_all(branch, Artist::IRON_MAIDEN).await?;
    change_its_mind(branch).await
}

/// Two hundred corrections in one transaction: dates, addresses, texts that become null and the other way round.
async fn correct(branch: &Replica) -> Result<(), DbErr> {
    let tx = branch.begin().await?;
    for invoice in invoice::Entity::find()
        .filter(invoice::Column::InvoiceId.lte(200))
        .all(&tx)
        .await?
    {
        let (date, state) = (invoice.invoice_date, invoice.billing_state.clone());
        let mut invoice = invoice::ActiveModel::from(invoice);
        invoice.invoice_date = Set(date + std::time::Duration::from_millis(90_061_500));
        invoice.billing_state = Set(state.filter(|state| !state.is_empty()));
        invoice.update(&tx).await?;
    }
    tx.commit().await
}

/// Five customers with four invoices each, of five lines, every invoice in a transaction.
async fn sell(branch: &Replica) -> Result<(), DbErr> {
    for customer in 500..505 {
        let new = customer::ActiveModel {
            customer_id: Set(customer),
            first_name: Set("Zoë".to_owned()),
            last_name: Set(format!("Ōe {customer}")),
            email: Set(format!("{customer}@example.org")),
            support_rep_id: Set(Some(3)),
            ..Default::default()
        };
        new.insert(branch).await?;
        for number in 0..4 {
            invoice(branch, customer, customer * 10 + number).await?;
        }
    }
    Ok(())
}

async fn invoice(branch: &Replica, customer: i32, id: i32) -> Result<(), DbErr> {
    let tx = branch.begin().await?;
    let invoice = invoice::ActiveModel {
        invoice_id: Set(id),
        customer_id: Set(customer),
        invoice_date: Set("2026-02-03T04:05:06".parse().expect("a time")),
        billing_country: Set(Some("Österreich".to_owned())),
        total: Set(Decimal::new(5_00, 2)),
        ..Default::default()
    };
    invoice.insert(&tx).await?;
    let lines = (0..5).map(|line| invoice_line::ActiveModel {
        invoice_line_id: Set(id * 10 + line),
        invoice_id: Set(id),
        track_id: Set(1 + line),
        unit_price: Set(Decimal::new(1_00, 2)),
        quantity: Set(1),
    });
    invoice_line::Entity::insert_many(lines).exec(&tx).await?;
    tx.commit().await
}

/// A playlist with two hundred entries more, and one with 1,477 less, which is deleted with all of them.
async fn compile_playlists(branch: &Replica) -> Result<(), DbErr> {
    let new = playlist::ActiveModel {
        playlist_id: Set(200),
        name: Set(Some("Blue & Latin".to_owned())),
    };
    new.insert(branch).await?;
    let tracks = track::Entity::find()
        .filter(track::Column::GenreId.is_in([6, 7]))
        .all(branch)
        .await?;
    let entries: Vec<_> = tracks
        .iter()
        .take(200)
        .map(|track| entry(200, track.track_id))
        .collect();
    assert_eq!(entries.len(), 200);
    playlist_track::Entity::insert_many(entries)
        .exec_without_returning(branch)
        .await?;

    let tx = branch.begin().await?;
    let entries = playlist_track::Entity::delete_many().filter(playlist_track::Column::PlaylistId.eq(5));
    assert_eq!(entries.exec(&tx).await?.rows_affected, 1_477);
    playlist::Entity::delete_by_id(5).exec(&tx).await?;
    tx.commit().await
}

pub(super) fn entry(playlist: i32, track: i32) -> playlist_track::ActiveModel {
    playlist_track::ActiveModel {
        playlist_id: Set(playlist),
        track_id: Set(track),
    }
}

/// Deletes and edits what nobody else touches, and takes it back: first a part, then the whole.
async fn change_its_mind(branch: &Replica) -> Result<(), DbErr> {
    let tx = branch.begin().await?;
    let inner = tx.begin().await?;
    deletes::customer_and_all(&inner, 40).await?;
    inner.rollback().await?;
    let emails = customer::Entity::update_many().col_expr(customer::Column::Email, Expr::value("nobody@example.org"));
    assert!(emails.exec(&tx).await?.rows_affected > 50);
    tx.rollback().await
}
