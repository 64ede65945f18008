//! What the attributes may not say together.
//!
//! `attr` has already reported what is wrong with an attribute by itself. What depends on a field's type is left to trait
//! bounds in the generated code wherever a bound can tell.

use proc_macro2::Ident;
use syn::{Data, DeriveInput, Type};

use crate::attr::Kind;
use crate::ctxt::Ctxt;
use crate::model::{Key, Model, ModelField, Role};
use crate::sea_orm;

/// Checks a model.
pub(crate) fn model(cx: &Ctxt, model: &Model<'_>) {
    for field in &model.fields {
        untagged(cx, field);
        default(cx, field);
        set(cx, field);
    }
    key(cx, model);
    some_field(cx, model);
}

/// Checks `ModelEx`. Only there do relations still stand: `#[sea_orm::model]` takes them out of `Model`.
pub(crate) fn twin(cx: &Ctxt, input: &DeriveInput) {
    let Data::Struct(data) = &input.data else { return };
    for field in data.fields.iter().filter(|field| sea_orm::is_relation(field)) {
        if let Some(ident) = &field.ident {
            untagged(cx, &ModelField::read(cx, ident, field));
        }
    }
}

/// A field that is no column of its own, or names the row, takes no attribute.
fn untagged(cx: &Ctxt, field: &ModelField<'_>) {
    let ident = field.ident;
    let Some((tokens, name)) = field.attr.first() else {
        return;
    };
    let message = match &field.role {
        Role::Column(_) => return,
        Role::Key(_) => format!("`{ident}` is the primary key, which names the row on every node; remove `{name}`"),
        Role::Ignored => format!("`{ident}` is ignored by SeaORM and has no column to replicate; remove `{name}`"),
        Role::Relation => {
            format!("`{ident}` is a relation and has no column; remove `{name}`, and tag the column it goes by")
        }
    };
    cx.error(tokens, message);
}

/// `default` is the value of a column that nothing arrives for.
fn default(cx: &Ctxt, field: &ModelField<'_>) {
    let (Some(kind), Some((option, _)), Role::Column(_)) = (field.kind(), &field.attr.default, &field.role) else {
        return;
    };
    let (ident, kind) = (field.ident, kind.name());
    let message = format!(
        "`default` is for a field that stays on its node, but `{ident}` is `{kind}` and arrives with its value; \
         remove `{kind}` or `default`"
    );
    cx.error(option, message);
}

/// The types of single values (and `Vec`, an array of the database's own), which no bound can tell from a newtype of a
/// JSON array.
const NO_SETS: [&str; 20] = [
    "bool", "char", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize", "f32",
    "f64", "String", "Option", "Vec", "Counter",
];

/// A set's column holds a JSON array.
fn set(cx: &Ctxt, field: &ModelField<'_>) {
    let (Some(Kind::Set), Type::Path(path)) = (field.kind(), field.ty) else {
        return;
    };
    let Some(last) = path.path.segments.last() else { return };
    if matches!(field.role, Role::Column(_)) && NO_SETS.iter().any(|name| last.ident == name) {
        let message = format!(
            "`{}` can't be a set, because a column of `{}` holds no JSON array; make it an `OrSet<…>`, or use `lww`",
            field.ident, last.ident
        );
        cx.error(field.ty, message);
    }
}

/// Two nodes may not mint the same key.
fn key(cx: &Ctxt, model: &Model<'_>) {
    let keys: Vec<(&Ident, &Key)> = model
        .fields
        .iter()
        .filter_map(|field| match &field.role {
            Role::Key(key) => Some((field.ident, key)),
            _ => None,
        })
        .collect();
    // SeaORM takes no composite key for an auto-increment.
    let [
        (
            ident,
            Key {
                counted: Some(tokens), ..
            },
        ),
    ] = keys.as_slice()
    else {
        return;
    };
    if !model.attr.allow_auto_increment {
        let message = format!(
            "`{ident}` is an auto-increment key, and two nodes would mint the same one; write \
             `#[sea_orm(primary_key, auto_increment = false)]` and set it yourself (to a UUID, say), or permit it with \
             `#[crdt(allow_auto_increment)]` above the struct"
        );
        cx.error(tokens, message);
    }
}

/// Something must replicate. A table that is all key (a join table) has nothing to tag: its rows come and go as wholes.
fn some_field(cx: &Ctxt, model: &Model<'_>) {
    let ident = model.ident;
    let mut columns = model
        .fields
        .iter()
        .filter(|field| matches!(field.role, Role::Column(_)))
        .peekable();
    // A tag that could not be read has been reported already.
    let is_silent = |field: &ModelField<'_>| field.kind().is_none() && !field.attr.misread();
    if columns.peek().is_some() && columns.all(is_silent) {
        let message = format!(
            "`{ident}` has no field that replicates; tag one with `#[crdt(lww)]`, `#[crdt(counter)]` or `#[crdt(set)]`, \
             or remove `Crdt` from the derives"
        );
        cx.error(ident, message);
    }
}
