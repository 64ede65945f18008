//! The mistakes found so far.
//!
//! Every step of the derive takes a [`Ctxt`] and adds to it instead of stopping at the first mistake, so that a user
//! sees all of them in one compilation.

use std::cell::RefCell;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects errors. It must be emptied with [`Ctxt::check`]: dropping one unread would lose a user's mistake.
pub(crate) struct Ctxt {
    errors: RefCell<Option<Vec<syn::Error>>>,
}

impl Ctxt {
    /// Nothing wrong yet.
    pub(crate) fn new() -> Self {
        Self {
            errors: RefCell::new(Some(Vec::new())),
        }
    }

    /// Records a mistake that is shown under `tokens`.
    pub(crate) fn error(&self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Records an error that syn made.
    pub(crate) fn push(&self, error: syn::Error) {
        self.errors
            .borrow_mut()
            .as_mut()
            .expect("a checked context takes no more errors")
            .push(error);
    }

    /// Ends the collection: `Err` holds one `compile_error!` for each mistake.
    pub(crate) fn check(self) -> Result<(), TokenStream> {
        let errors = self.errors.borrow_mut().take().expect("a context is checked once");
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.iter().map(syn::Error::to_compile_error).collect())
    }
}

impl Drop for Ctxt {
    fn drop(&mut self) {
        let read = std::thread::panicking() || self.errors.borrow().is_none();
        assert!(read, "a derive context was dropped without being checked");
    }
}
