//! Reads what SeaORM's own macros read, to arrive at the same names.
//!
//! Mistakes in `#[sea_orm(…)]` are SeaORM's to report, so whatever can't be read here is passed over.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseBuffer;
use syn::{Attribute, Field, LitBool, LitStr, Type};

/// The options of a field's `#[sea_orm(…)]` attributes that matter here.
#[derive(Default)]
pub(crate) struct ColumnAttr {
    /// `ignore`: the field is no column.
    pub(crate) ignore: bool,
    /// `primary_key`, as written.
    pub(crate) primary_key: Option<TokenStream>,
    /// `auto_increment = …`, and its value.
    auto_increment: Option<LitBool>,
    /// `enum_name = "…"`: the name of the `Column` variant.
    enum_name: Option<LitStr>,
}

impl ColumnAttr {
    /// Reads the attributes of a field.
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let mut this = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("sea_orm")) {
            let _ = attr.parse_nested_meta(|meta| this.option(&meta));
        }
        this
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("ignore") {
            self.ignore = true;
        } else if meta.path.is_ident("primary_key") {
            let path = &meta.path;
            self.primary_key = Some(quote!(#path));
        } else if meta.path.is_ident("auto_increment") {
            self.auto_increment = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("enum_name") {
            self.enum_name = Some(meta.value()?.parse()?);
        } else {
            let _ = meta.value().and_then(ParseBuffer::parse::<syn::Expr>);
        }
        Ok(())
    }

    /// The tokens that make the database count this key, should it be the only one.
    pub(crate) fn counted(&self, ty: &Type) -> Option<TokenStream> {
        match &self.auto_increment {
            Some(said) => said.value().then(|| said.to_token_stream()),
            None => self.primary_key.clone().filter(|_| counts_by_default(ty)),
        }
    }

    /// The variant of `Column` that `DeriveEntityModel` makes for the field `ident`.
    pub(crate) fn variant(&self, ident: &Ident) -> Ident {
        let given = self.enum_name.as_ref().and_then(|name| name.parse::<Ident>().ok());
        let name = given.map_or_else(
            || ident.unraw().to_string().to_upper_camel_case(),
            |name| name.to_string(),
        );
        match name.as_str() {
            // The one keyword in UpperCamelCase; it can't be written raw.
            "Self" => Ident::new("Self_", ident.span()),
            // No identifier at all (a field `_1`): SeaORM refuses it, and this only has to stay out of the way.
            name => {
                let mut variant = syn::parse_str(name).unwrap_or_else(|_| ident.clone());
                variant.set_span(ident.span());
                variant
            }
        }
    }
}

/// Whether the field is one of the relations of `#[sea_orm::model]`, as SeaORM tells them: by the type's name.
pub(crate) fn is_relation(field: &Field) -> bool {
    let Type::Path(path) = &field.ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|segment| {
        ["BelongsTo", "HasOne", "HasMany"]
            .iter()
            .any(|name| segment.ident == name)
    })
}

/// Whether SeaORM takes a key of this type, with nothing said about `auto_increment`, for one that the database counts.
fn counts_by_default(ty: &Type) -> bool {
    let name: String = quote!(#ty).to_string().split_whitespace().collect();
    let name = name
        .strip_prefix("Option<")
        .and_then(|inner| inner.strip_suffix('>'))
        .unwrap_or(&name);
    !["String", "Uuid"].iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::ColumnAttr;
    use quote::{ToTokens, quote};
    use syn::{Field, parse_quote};

    fn variant(field: &Field) -> String {
        let ident = field.ident.as_ref().expect("the fields here have names");
        ColumnAttr::read(&field.attrs).variant(ident).to_string()
    }

    fn counted(field: &Field) -> Option<String> {
        ColumnAttr::read(&field.attrs)
            .counted(&field.ty)
            .map(|tokens| tokens.to_string())
    }

    #[test]
    fn variants_are_those_of_seaorm() {
        assert_eq!(variant(&parse_quote!(view_count: i64)), "ViewCount");
        assert_eq!(variant(&parse_quote!(r#type: i64)), "Type");
        assert_eq!(variant(&parse_quote!(self_: i64)), "Self_");
        assert_eq!(variant(&parse_quote!(_http2_url: i64)), "Http2Url");
        let options = quote!(
            column_name = "n",
            indexed,
            column_type = "Decimal(Some((16, 4)))",
            enum_name = "Renamed"
        );
        assert_eq!(variant(&parse_quote!(#[sea_orm(#options)] name: i64)), "Renamed");
    }

    #[test]
    fn a_number_is_counted_unless_it_says_otherwise() {
        let of_type = |ty: syn::Type| counted(&parse_quote!(#[sea_orm(primary_key)] id: #ty));
        assert_eq!(of_type(parse_quote!(i64)).as_deref(), Some("primary_key"));
        assert_eq!(of_type(parse_quote!(String)), None);
        assert_eq!(of_type(parse_quote!(Option<uuid::Uuid>)), None);
        assert_eq!(
            counted(&parse_quote!(#[sea_orm(primary_key, auto_increment = false)] id: i64)),
            None
        );
        let said = counted(&parse_quote!(#[sea_orm(primary_key, auto_increment = true)] id: String));
        assert_eq!(said.as_deref(), Some(true.to_token_stream().to_string().as_str()));
    }
}
