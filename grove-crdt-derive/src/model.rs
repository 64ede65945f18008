//! The struct as the derive understands it: the `#[crdt(…)]` attributes beside what SeaORM makes of the fields.

use proc_macro2::{Ident, TokenStream};
use syn::{Data, DeriveInput, Field, Fields, Type, Visibility};

use crate::attr::{ContainerAttr, FieldAttr, Kind};
use crate::ctxt::Ctxt;
use crate::sea_orm::{self, ColumnAttr};

/// A SeaORM model.
pub(crate) struct Model<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) vis: &'a Visibility,
    pub(crate) attr: ContainerAttr,
    pub(crate) fields: Vec<ModelField<'a>>,
}

/// One of its fields.
pub(crate) struct ModelField<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) attr: FieldAttr,
    pub(crate) role: Role,
}

/// What a field is to SeaORM.
pub(crate) enum Role {
    /// A column of the primary key.
    Key(Key),
    /// Any other column, and its variant of `Column`.
    Column(Ident),
    /// `#[sea_orm(ignore)]`: no column.
    Ignored,
    /// A relation to another entity: no column.
    Relation,
}

/// A column of the primary key.
pub(crate) struct Key {
    /// Its variant of `Column`.
    pub(crate) variant: Ident,
    /// When the database would count it, were it the only key: the tokens that make it so.
    pub(crate) counted: Option<TokenStream>,
}

impl<'a> Model<'a> {
    /// Reads the struct. `None` when it isn't one that can be a model, which then has been reported.
    pub(crate) fn read(cx: &Ctxt, input: &'a DeriveInput) -> Option<Self> {
        let attr = ContainerAttr::read(cx, &input.ident, &input.attrs);
        let fields = named_fields(cx, input)?;
        let fields = fields
            .map(|(ident, field)| ModelField::read(cx, ident, field))
            .collect();
        Some(Self {
            ident: &input.ident,
            vis: &input.vis,
            attr,
            fields,
        })
    }

    /// The columns, with their variants of `Column`, in the order of the struct.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&ModelField<'a>, &Ident)> {
        self.fields.iter().filter_map(|field| match &field.role {
            Role::Key(Key { variant, .. }) | Role::Column(variant) => Some((field, variant)),
            Role::Ignored | Role::Relation => None,
        })
    }

    /// The columns outside the key that are tagged with `kind`.
    pub(crate) fn tagged(&self, kind: Kind) -> impl Iterator<Item = (&ModelField<'a>, &Ident)> {
        let columns = self
            .columns()
            .filter(|(field, _)| matches!(field.role, Role::Column(_)));
        columns.filter(move |(field, _)| field.kind() == Some(kind))
    }
}

impl<'a> ModelField<'a> {
    pub(crate) fn read(cx: &Ctxt, ident: &'a Ident, field: &'a Field) -> Self {
        let attr = FieldAttr::read(cx, ident, &field.attrs);
        Self {
            ident,
            ty: &field.ty,
            attr,
            role: Role::of(ident, field),
        }
    }

    /// How the field merges; `None` when it stays on its node.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.attr.kind.as_ref().map(|(kind, _)| *kind)
    }
}

impl Role {
    fn of(ident: &Ident, field: &Field) -> Self {
        let column = ColumnAttr::read(&field.attrs);
        if column.ignore {
            return Self::Ignored;
        }
        if sea_orm::is_relation(field) {
            return Self::Relation;
        }
        let variant = column.variant(ident);
        if column.primary_key.is_some() {
            return Self::Key(Key {
                variant,
                counted: column.counted(&field.ty),
            });
        }
        Self::Column(variant)
    }
}

/// The fields with their names, of a struct that can be a model.
fn named_fields<'a>(cx: &Ctxt, input: &'a DeriveInput) -> Option<impl Iterator<Item = (&'a Ident, &'a Field)>> {
    let ident = &input.ident;
    let found = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                return accept_head(cx, input).then(|| {
                    fields
                        .named
                        .iter()
                        .filter_map(|field| Some((field.ident.as_ref()?, field)))
                });
            }
            Fields::Unnamed(_) => "a tuple struct",
            Fields::Unit => "a unit struct",
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    cx.error(
        ident,
        format_args!("`{ident}` is {found}; derive `Crdt` on the `struct Model {{ … }}` of a SeaORM entity"),
    );
    None
}

/// Whether name and generics are those of a model.
fn accept_head(cx: &Ctxt, input: &DeriveInput) -> bool {
    let DeriveInput { ident, generics, .. } = input;
    let named = ident == "Model";
    if !named {
        cx.error(
            ident,
            format_args!("`{ident}` is not a SeaORM model; derive `Crdt` on the struct named `Model`"),
        );
    }
    let plain = generics.params.is_empty();
    if !plain {
        cx.error(
            &generics.params,
            format_args!("a SeaORM model has no generic parameters; remove them from `{ident}`"),
        );
    }
    named && plain
}
