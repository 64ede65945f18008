//! What stands in for the generated code when something was wrong.
//!
//! Without it each use of the entity as a `CrdtEntity`, or of a generated method, would be an error of its own, and hide
//! the ones that matter.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand;
use crate::model::Model;

/// The errors, and an implementation that promises everything and never runs.
pub(crate) fn expand(model: &Model<'_>, errors: &TokenStream) -> TokenStream {
    let entity = expand::entity(model, &[], &[]);
    let rest = expand::around(model);
    quote! { #errors #entity #rest }
}
