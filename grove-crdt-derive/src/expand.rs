//! Writes the code.
//!
//! Every path starts at the runtime crate, at `std`, or in the entity's own module (`Entity`, `ActiveModel`, `Column`,
//! `PrimaryKey`, which `DeriveEntityModel` puts beside the struct). The tokens of a field's type are passed on as they
//! are, so that a bound that fails points at them.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{DeriveInput, Path};

use crate::attr::Kind;
use crate::check;
use crate::ctxt::Ctxt;
use crate::fallback;
use crate::model::{Model, ModelField, Role};

/// The derive, from end to end.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let cx = Ctxt::new();
    if input.ident == "ModelEx" {
        check::twin(&cx, input);
        return cx.check().err().unwrap_or_default();
    }
    let Some(model) = Model::read(&cx, input) else {
        // What is no model has no `Entity` beside it either, for which anything could be implemented.
        return cx.check().err().unwrap_or_default();
    };
    check::model(&cx, &model);
    match cx.check() {
        Ok(()) => expand(&model),
        Err(errors) => fallback::expand(&model, &errors),
    }
}

fn expand(model: &Model<'_>) -> TokenStream {
    let private = private(model);
    let fields: Vec<_> = model
        .columns()
        .map(|(field, variant)| describe(&private, field, variant))
        .collect();
    let remembered: Vec<_> = model
        .columns()
        .filter_map(|(field, variant)| remembered(&private, field, variant))
        .collect();
    let entity = entity(model, &fields, &remembered);
    let rest = around(model);
    quote! { #entity #rest }
}

/// `impl CrdtEntity for Entity`.
pub(crate) fn entity(model: &Model<'_>, fields: &[TokenStream], remembered: &[TokenStream]) -> TokenStream {
    let private = private(model);
    let remembered = match remembered {
        [] => quote! { let _ = active; ::std::vec::Vec::new() },
        some => quote! {
            let mut all = ::std::vec::Vec::new();
            #(#some)*
            all
        },
    };
    quote! {
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic)]
        impl #private::CrdtEntity for Entity {
            fn fields() -> ::std::vec::Vec<#private::Field<Self>> {
                ::std::vec![#(#fields),*]
            }

            fn remembered(active: &ActiveModel) -> ::std::vec::Vec<(Column, #private::Remembered)> {
                #remembered
            }
        }
    }
}

/// Everything beside the entity: it depends on no field's type, so it can be had even when there were errors.
pub(crate) fn around(model: &Model<'_>) -> TokenStream {
    let behavior = (!model.attr.manual).then(|| behavior(model));
    let writes = writes(model);
    let increments = increments(model);
    let merge = merge(model);
    quote! { #behavior #writes #increments #merge }
}

fn private(model: &Model<'_>) -> TokenStream {
    let krate: &Path = &model.attr.krate;
    quote!(#krate::__private)
}

/// One entry of `fields()`.
fn describe(private: &TokenStream, field: &ModelField<'_>, variant: &Ident) -> TokenStream {
    let ty = field.ty;
    let kind = match (&field.role, field.kind()) {
        (Role::Key(_), _) => quote!(key),
        (_, Some(Kind::Lww)) => quote!(lww),
        (_, Some(Kind::Counter)) => quote!(counter),
        (_, Some(Kind::Set)) => {
            // A constant of the probe for `OrSet`, else the trait's.
            return quote! {
                #private::Field::<Self>::set::<#ty>(Column::#variant).remembering({
                    use #private::SetOperationFallback as _;
                    #private::SetProbe::<'static, #ty>::REMEMBERS
                })
            };
        }
        (_, None) => return local(private, field, variant),
    };
    quote! { #private::Field::<Self>::#kind::<#ty>(Column::#variant) }
}

/// The entry of a field that stays on its node, with its value in a row that arrives from elsewhere.
fn local(private: &TokenStream, field: &ModelField<'_>, variant: &Ident) -> TokenStream {
    let ty = field.ty;
    let default = if let Some((_, given)) = &field.attr.default {
        given.to_token_stream()
    } else {
        quote!(<#ty as #private::LocalDefault>::local_default())
    };
    quote! { #private::Field::<Self>::local::<#ty>(Column::#variant, || #default) }
}

/// The part of `remembered()` for a field whose values can remember what was done to them.
fn remembered(private: &TokenStream, field: &ModelField<'_>, variant: &Ident) -> Option<TokenStream> {
    let (ident, ty) = (field.ident, field.ty);
    let remembered = match field.kind()? {
        Kind::Lww => return None,
        // Naming the constructor first makes a type that is no counter fail here just as it does in `fields`, and the
        // compiler says the same thing only once.
        Kind::Counter => quote!({
            let _ = #private::Field::<Self>::counter::<#ty>;
            <#ty as #private::CounterField>::remembered(value)
        }),
        // An inherent method of the probe for `OrSet`, else the trait's: a newtype remembers nothing.
        Kind::Set => quote!({
            use #private::SetOperationFallback as _;
            #private::SetProbe(value).remembered()
        }),
    };
    Some(quote! {
        if let #private::sea_orm::ActiveValue::Set(value) = &active.#ident {
            if let ::std::option::Option::Some(remembered) = #remembered {
                all.push((Column::#variant, remembered));
            }
        }
    })
}

/// `impl ActiveModelBehavior for ActiveModel`, whose hooks announce each write to the runtime.
fn behavior(model: &Model<'_>) -> TokenStream {
    let krate = &model.attr.krate;
    let private = private(model);
    let sea_orm = quote!(#private::sea_orm);
    let model_type = quote!(<Self::Entity as #sea_orm::EntityTrait>::Model);
    let error = quote!(#sea_orm::DbErr);
    quote! {
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic)]
        #[#private::async_trait]
        impl #sea_orm::ActiveModelBehavior for ActiveModel {
            async fn before_save<C: #sea_orm::ConnectionTrait>(self, db: &C, insert: bool) -> ::std::result::Result<Self, #error> {
                #krate::hooks::before_save(self, db, insert).await
            }

            async fn after_save<C: #sea_orm::ConnectionTrait>(
                model: #model_type,
                db: &C,
                insert: bool,
            ) -> ::std::result::Result<#model_type, #error> {
                #krate::hooks::after_save::<Self, C>(model, db, insert).await
            }

            async fn before_delete<C: #sea_orm::ConnectionTrait>(self, db: &C) -> ::std::result::Result<Self, #error> {
                #krate::hooks::before_delete(self, db).await
            }

            async fn after_delete<C: #sea_orm::ConnectionTrait>(self, db: &C) -> ::std::result::Result<Self, #error> {
                #krate::hooks::after_delete(self, db).await
            }
        }
    }
}

/// The inherent writes of `ActiveModel`, which shadow the trait's.
fn writes(model: &Model<'_>) -> TokenStream {
    let private = private(model);
    let ident = model.ident;
    let writes = [
        ("insert", "Inserts the row", quote!(#ident)),
        ("update", "Updates the row", quote!(#ident)),
        (
            "update_without_returning",
            "Updates the row, without reading it back",
            quote!(#private::sea_orm::UpdateResult),
        ),
        (
            "save",
            "Inserts the row when its key is not set, and updates it otherwise",
            quote!(Self),
        ),
        ("delete", "Deletes the row", quote!(#private::sea_orm::DeleteResult)),
    ];
    let methods = writes.map(|(name, does, output)| write(model, name, does, &output));
    quote! {
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        impl ActiveModel {
            #(#methods)*
        }
    }
}

fn write(model: &Model<'_>, name: &str, does: &str, output: &TokenStream) -> TokenStream {
    let private = private(model);
    let vis = model.vis;
    let doc = format!(
        " {does}, and records what is replicated of it, in one transaction.\n\n\
         Stands in front of `ActiveModelTrait::{name}`, and opens a transaction when `db` is not one already."
    );
    let name = format_ident!("{name}");
    quote! {
        #[doc = #doc]
        #vis async fn #name<C>(self, db: &C) -> ::std::result::Result<#output, #private::sea_orm::DbErr>
        where
            C: #private::sea_orm::ConnectionTrait + #private::sea_orm::TransactionTrait,
        {
            #private::#name(self, db).await
        }
    }
}

/// An atomic increment for each counter.
fn increments(model: &Model<'_>) -> TokenStream {
    let private = private(model);
    let vis = model.vis;
    let methods = model.tagged(Kind::Counter).map(|(field, variant)| {
        let field = field.ident.unraw();
        let name = format_ident!("increment_{field}");
        let doc = format!(
            " Adds `by` to `{field}` of the row with this key, in one atomic step, without loading it.\n\n\
             A negative `by` subtracts."
        );
        quote! {
            #[doc = #doc]
            #vis async fn #name<C>(
                db: &C,
                key: impl ::std::convert::Into<<PrimaryKey as #private::sea_orm::PrimaryKeyTrait>::ValueType>,
                by: i64,
            ) -> ::std::result::Result<(), #private::sea_orm::DbErr>
            where
                C: #private::sea_orm::ConnectionTrait + #private::sea_orm::TransactionTrait,
            {
                #private::increment::<Entity, C>(db, key.into(), Column::#variant, by).await
            }
        }
    });
    quote! {
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        impl ActiveModel {
            #(#methods)*
        }
    }
}

/// `Model::merge_remote`.
fn merge(model: &Model<'_>) -> TokenStream {
    let krate = &model.attr.krate;
    let private = private(model);
    let Model { ident, vis, .. } = model;
    quote! {
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        impl #ident {
            /// Merges changes of this entity that come from another node.
            ///
            /// Merging a change that is known already does nothing, so the same changes may come twice and in any order.
            #vis async fn merge_remote(
                replica: &#krate::Replica,
                changes: &[#krate::Change],
            ) -> ::std::result::Result<#krate::MergeReport, #krate::Error> {
                #private::merge_remote::<Entity>(replica, changes).await
            }
        }
    }
}
