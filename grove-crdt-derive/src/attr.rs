//! Reads `#[crdt(…)]`, on a field and on the struct.
//!
//! [`options`] splits the attributes into options, each of which keeps its tokens, so that whoever finds fault with one
//! can point at it. [`FieldAttr`] and [`ContainerAttr`] then take the options they know.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Path, Token, token};

use crate::ctxt::Ctxt;
use crate::suggest;

/// The options of a field.
const FIELD: [&str; 4] = ["lww", "counter", "set", "default"];
/// The options of the struct.
const CONTAINER: [&str; 3] = ["behavior", "allow_auto_increment", "crate"];

/// How a replicated field merges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lww,
    Counter,
    Set,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "lww" => Some(Self::Lww),
            "counter" => Some(Self::Counter),
            "set" => Some(Self::Set),
            _ => None,
        }
    }

    /// As the user writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lww => "lww",
            Self::Counter => "counter",
            Self::Set => "set",
        }
    }
}

/// One option of an attribute: `lww`, `default = 0`, or (never right) `set(…)`.
pub(crate) struct Opt {
    name: Ident,
    value: Value,
}

enum Value {
    None,
    Assigned(Expr),
    List(Group),
}

impl Opt {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `crate` is a keyword, so a plain identifier would not do.
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected the name of an option, such as `lww`"));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Assigned(input.parse()?)
        } else if input.peek(token::Paren) {
            Value::List(input.parse()?)
        } else {
            Value::None
        };
        Ok(Self { name, value })
    }

    /// The value of an option that must have one; `form` is how the option is written.
    fn value(&self, cx: &Ctxt, form: &str) -> Option<&Expr> {
        if let Value::Assigned(value) = &self.value {
            return Some(value);
        }
        cx.error(
            self,
            format_args!("`{}` needs a value; write `#[crdt({form})]`", self.name),
        );
        None
    }

    /// Reports a value on an option that takes none.
    fn no_value(&self, cx: &Ctxt) {
        if !matches!(self.value, Value::None) {
            cx.error(
                self,
                format_args!("`{0}` takes no value; write `#[crdt({0})]`", self.name),
            );
        }
    }
}

impl ToTokens for Opt {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let name = &self.name;
        tokens.extend(match &self.value {
            Value::None => quote!(#name),
            Value::Assigned(value) => quote!(#name = #value),
            Value::List(list) => quote!(#name #list),
        });
    }
}

/// All options of the `#[crdt(…)]` among `attrs`; an attribute that is malformed is reported and yields those before
/// the fault. `example` is how it could look there.
fn options(cx: &Ctxt, attrs: &[Attribute], example: &str) -> Vec<Opt> {
    let mut options = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("crdt")) {
        match &attr.meta {
            Meta::List(list) if !list.tokens.is_empty() => {
                if let Err(error) = list.parse_args_with(|input: ParseStream<'_>| parse_options(input, &mut options)) {
                    cx.push(error);
                }
            }
            meta => cx.error(
                meta,
                format_args!("`crdt` says nothing here; write `#[crdt({example})]`"),
            ),
        }
    }
    options
}

fn parse_options(input: ParseStream<'_>, options: &mut Vec<Opt>) -> syn::Result<()> {
    while !input.is_empty() {
        options.push(Opt::parse(input)?);
        if input.is_empty() {
            break;
        }
        if !input.peek(Token![,]) {
            return Err(input.error("expected `,` between two options"));
        }
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

/// What the attributes of a field say.
#[derive(Default)]
pub(crate) struct FieldAttr {
    /// Whether there is an attribute, readable or not.
    present: bool,
    /// The kind, and where it is written.
    pub(crate) kind: Option<(Kind, Ident)>,
    /// `default = expr`: the whole option, and the expression.
    pub(crate) default: Option<(TokenStream, Expr)>,
}

impl FieldAttr {
    /// Reads the attributes of the field `ident`.
    pub(crate) fn read(cx: &Ctxt, ident: &Ident, attrs: &[Attribute]) -> Self {
        let present = attrs.iter().any(|attr| attr.path().is_ident("crdt"));
        let mut this = Self {
            present,
            ..Self::default()
        };
        for option in options(cx, attrs, "lww") {
            let name = option.name.to_string();
            if let Some(kind) = Kind::named(&name) {
                option.no_value(cx);
                this.set_kind(cx, ident, kind, option.name);
            } else if name == "default" {
                this.set_default(cx, ident, &option);
            } else if CONTAINER.contains(&name.as_str()) {
                cx.error(
                    &option.name,
                    format_args!("`{name}` is about the whole entity; move it above the struct"),
                );
            } else {
                let known = "a field takes `lww`, `counter`, `set` or `default = …`";
                cx.error(&option.name, unknown(&name, &FIELD, known));
            }
        }
        this
    }

    fn set_kind(&mut self, cx: &Ctxt, field: &Ident, kind: Kind, name: Ident) {
        match &self.kind {
            None => self.kind = Some((kind, name)),
            Some((first, _)) if *first == kind => cx.error(&name, duplicate(&name, field)),
            Some((first, _)) => {
                let first = first.name();
                let message =
                    format!("`{field}` is already `{first}`, and a field has one kind; remove `{first}` or `{name}`");
                cx.error(&name, message);
            }
        }
    }

    fn set_default(&mut self, cx: &Ctxt, field: &Ident, option: &Opt) {
        let Some(value) = option.value(cx, "default = expr") else {
            return;
        };
        if self.default.is_some() {
            return cx.error(option, duplicate(&option.name, field));
        }
        self.default = Some((option.to_token_stream(), value.clone()));
    }

    /// Whether something was meant, but nothing could be read.
    pub(crate) fn misread(&self) -> bool {
        self.present && self.kind.is_none() && self.default.is_none()
    }

    /// The first thing said about the field, to point at, and its name.
    pub(crate) fn first(&self) -> Option<(TokenStream, &'static str)> {
        let kind = self
            .kind
            .as_ref()
            .map(|(kind, name)| (name.to_token_stream(), kind.name()));
        kind.or_else(|| self.default.as_ref().map(|(option, _)| (option.clone(), "default = …")))
    }
}

/// What the attributes of the struct say.
pub(crate) struct ContainerAttr {
    /// `behavior = "manual"`: the user writes `impl ActiveModelBehavior`.
    pub(crate) manual: bool,
    /// `allow_auto_increment`: the user vouches for an auto-increment key.
    pub(crate) allow_auto_increment: bool,
    /// `crate = "…"`: where the runtime is.
    pub(crate) krate: Path,
}

impl ContainerAttr {
    /// Reads the attributes of the struct `ident`.
    pub(crate) fn read(cx: &Ctxt, ident: &Ident, attrs: &[Attribute]) -> Self {
        let mut this = Self {
            manual: false,
            allow_auto_increment: false,
            krate: default_crate(),
        };
        let mut seen: Vec<String> = Vec::new();
        for option in options(cx, attrs, "behavior = \"manual\"") {
            let name = option.name.to_string();
            if FIELD.contains(&name.as_str()) {
                cx.error(
                    &option.name,
                    format_args!("`{name}` is about one field; move it onto a field of `{ident}`"),
                );
            } else if seen.contains(&name) {
                cx.error(&option, duplicate(&option.name, ident));
            } else {
                this.set(cx, &name, &option);
            }
            seen.push(name);
        }
        this
    }

    fn set(&mut self, cx: &Ctxt, name: &str, option: &Opt) {
        match name {
            "behavior" => self.manual = is_manual(cx, option),
            "allow_auto_increment" => {
                option.no_value(cx);
                self.allow_auto_increment = true;
            }
            "crate" => self.krate = crate_path(cx, option).unwrap_or_else(default_crate),
            _ => {
                let known = "the struct takes `behavior = \"manual\"`, `allow_auto_increment` or `crate = \"…\"`";
                cx.error(&option.name, unknown(name, &CONTAINER, known));
            }
        }
    }
}

/// The runtime under its own name, resolved from the derive's call site.
fn default_crate() -> Path {
    let name = Ident::new("grove_crdt", Span::call_site());
    syn::parse_quote!(::#name)
}

fn is_manual(cx: &Ctxt, option: &Opt) -> bool {
    let Some(value) = option.value(cx, "behavior = \"manual\"") else {
        return false;
    };
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = value
        && text.value() == "manual"
    {
        return true;
    }
    let given = value.to_token_stream();
    let message = format!("unknown behavior `{given}`; write `\"manual\"`, or leave it out to have the impl generated");
    cx.error(value, message);
    false
}

/// `crate = "path"` or `crate = path`.
fn crate_path(cx: &Ctxt, option: &Opt) -> Option<Path> {
    let value = option.value(cx, "crate = \"path\"")?;
    let path = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => text.parse_with(Path::parse_mod_style).ok(),
        Expr::Path(path) => Some(path.path.clone()),
        _ => None,
    };
    if path.is_none() {
        let given = value.to_token_stream();
        cx.error(
            value,
            format_args!("`{given}` is no path; write where grove-crdt is, as in `crate = \"my::grove_crdt\"`"),
        );
    }
    path
}

fn duplicate(option: &Ident, place: &Ident) -> String {
    format!("duplicate `{option}` on `{place}`; remove one of them")
}

fn unknown(name: &str, names: &[&str], known: &str) -> String {
    match suggest::nearest(name, names) {
        Some(nearest) => format!("unknown option `{name}`; did you mean `{nearest}`?"),
        None => format!("unknown option `{name}`; {known}"),
    }
}
