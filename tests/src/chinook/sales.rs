//! Who sells what to whom.

/// An employee, who may report to another one.
pub mod employee {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Employee", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub employee_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(20))")]
        pub last_name: String,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(20))")]
        pub first_name: String,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(30))", nullable)]
        pub title: Option<String>,
        #[crdt(lww)]
        pub reports_to: Option<i32>,
        #[crdt(lww)]
        pub birth_date: Option<DateTime>,
        #[crdt(lww)]
        pub hire_date: Option<DateTime>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(70))", nullable)]
        pub address: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub city: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub state: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub country: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(10))", nullable)]
        pub postal_code: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(24))", nullable)]
        pub phone: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(24))", nullable)]
        pub fax: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(60))", nullable)]
        pub email: Option<String>,
        #[sea_orm(self_ref, relation_enum = "Manager", from = "reports_to", to = "employee_id")]
        pub manager: HasOne<Entity>,
        #[sea_orm(has_many)]
        pub customers: HasMany<super::customer::Entity>,
    }
}

/// A customer.
pub mod customer {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Customer", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub customer_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))")]
        pub first_name: String,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(20))")]
        pub last_name: String,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(80))", nullable)]
        pub company: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(70))", nullable)]
        pub address: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub city: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub state: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub country: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(10))", nullable)]
        pub postal_code: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(24))", nullable)]
        pub phone: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(24))", nullable)]
        pub fax: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(60))")]
        pub email: String,
        #[crdt(lww)]
        pub support_rep_id: Option<i32>,
        #[sea_orm(belongs_to, from = "support_rep_id", to = "employee_id")]
        pub support_rep: BelongsTo<Option<super::employee::Entity>>,
        #[sea_orm(has_many)]
        pub invoices: HasMany<super::invoice::Entity>,
    }
}

/// An invoice.
pub mod invoice {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "Invoice", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub invoice_id: i32,
        #[crdt(lww)]
        pub customer_id: i32,
        #[crdt(lww)]
        pub invoice_date: DateTime,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(70))", nullable)]
        pub billing_address: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub billing_city: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub billing_state: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(40))", nullable)]
        pub billing_country: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "String(StringLen::N(10))", nullable)]
        pub billing_postal_code: Option<String>,
        #[crdt(lww)]
        #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
        pub total: Decimal,
        #[sea_orm(belongs_to, from = "customer_id", to = "customer_id")]
        pub customer: BelongsTo<super::customer::Entity>,
        #[sea_orm(has_many)]
        pub lines: HasMany<super::invoice_line::Entity>,
    }
}

/// A line of an invoice.
pub mod invoice_line {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Deserialize, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "InvoiceLine", rename_all = "PascalCase")]
    #[serde(rename_all = "PascalCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub invoice_line_id: i32,
        #[crdt(lww)]
        pub invoice_id: i32,
        #[crdt(lww)]
        pub track_id: i32,
        #[crdt(lww)]
        #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
        pub unit_price: Decimal,
        #[crdt(lww)]
        pub quantity: i32,
        #[sea_orm(belongs_to, from = "invoice_id", to = "invoice_id")]
        pub invoice: BelongsTo<super::invoice::Entity>,
        #[sea_orm(belongs_to, from = "track_id", to = "track_id")]
        pub track: BelongsTo<crate::chinook::track::Entity>,
    }
}
