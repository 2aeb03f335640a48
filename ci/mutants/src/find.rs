//! The places of a source that can be mutated, with what can stand there instead.
//!
//! A place inside of a macro is found by trying to read its tokens as items, statements and expressions; what the compiler
//! then rejects is dropped later. `$name` is read as the identifier `_name`, which has the same length, so that all
//! positions are those of the file.

use std::ops::Range;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Token, Type, UnOp};

/// What surrounds the replacements of a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// An expression.
    Expression,
    /// A position at the head of a function's body, where a replacement is returned.
    Body,
    /// A position behind an arm's pattern, where a guard takes the arm away.
    Arm,
}

/// A place with one or more mutants.
pub(crate) struct Site {
    pub(crate) range: Range<usize>,
    pub(crate) form: Form,
    pub(crate) function: String,
    /// The replacements, and the text that names each of them in lists.
    pub(crate) variants: Vec<(String, String)>,
}

/// Finds the sites of a file. `literals` says if numbers are mutated too.
pub(crate) fn sites(source: &str, literals: bool) -> Result<Vec<Site>, syn::Error> {
    let readable = without_dollars(source);
    let mut finder = Finder { source, literals, path: Vec::new(), in_const: 0, sites: Vec::new() };
    finder.visit_file(&syn::parse_file(&readable)?);
    // Mutants of one expression share a site.
    let mut sites: Vec<Site> = Vec::new();
    finder.sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end), site.form as u8));
    for site in finder.sites {
        match sites.last_mut() {
            Some(last) if last.range == site.range && last.form == site.form => last.variants.extend(site.variants),
            _ => sites.push(site),
        }
    }
    for site in &mut sites {
        let mut seen = std::collections::HashSet::new();
        site.variants.retain(|(replacement, _)| seen.insert(replacement.clone()));
    }
    Ok(sites)
}

/// The source with `_name` for `$name`.
fn without_dollars(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        let is_name = chars.peek().is_some_and(|next| next.is_alphabetic() || *next == '_');
        text.push(if c == '$' && is_name { '_' } else { c });
    }
    text
}

struct Finder<'s> {
    source: &'s str,
    literals: bool,
    /// The names around the place: types, modules, functions, rows.
    path: Vec<String>,
    /// Above 0 where the compiler evaluates, so that nothing can be chosen at run time.
    in_const: usize,
    sites: Vec<Site>,
}

impl Finder<'_> {
    fn text(&self, node: &impl Spanned) -> &str {
        &self.source[node.span().byte_range()]
    }

    fn add(&mut self, range: Range<usize>, form: Form, variants: Vec<(String, String)>) {
        if self.in_const == 0 && !variants.is_empty() {
            self.sites.push(Site { range, form, function: self.path.join("::"), variants });
        }
    }

    /// Expressions that replace `node`.
    fn replace(&mut self, node: &impl Spanned, by: Vec<String>) {
        let short = |text: &str| {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.chars().count() > 60 { line.chars().take(60).collect::<String>() + ".." } else { line }
        };
        let original = short(self.text(node));
        let variants = by.into_iter().map(|text| (text.clone(), format!("{original} -> {}", short(&text)))).collect();
        self.add(node.span().byte_range(), Form::Expression, variants);
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.path.push(name);
        visit(self);
        self.path.pop();
    }

    fn function(&mut self, signature: &syn::Signature, body: Option<&syn::Block>, attributes: &[syn::Attribute]) {
        let Some(body) = body else { return };
        if is_test(attributes) {
            return;
        }
        self.within(signature.ident.to_string(), |finder| {
            let is_const = signature.constness.is_some();
            finder.in_const += usize::from(is_const);
            if signature.unsafety.is_none() && !body.stmts.is_empty() {
                let values = finder.values_of(signature);
                let head = body.brace_token.span.open().byte_range().end;
                let variants = values.into_iter().map(|value| (value.clone(), format!("body -> {value}"))).collect();
                finder.add(head..head, Form::Body, variants);
            }
            finder.visit_block(body);
            finder.in_const -= usize::from(is_const);
        });
    }

    /// Values that a function may return instead of its own; the compiler rejects those of other types.
    fn values_of(&self, signature: &syn::Signature) -> Vec<String> {
        let syn::ReturnType::Type(_, ty) = &signature.output else { return vec!["()".to_owned()] };
        let mut values = values(ty);
        let is_self = matches!(&**ty, Type::Path(path) if path.path.is_ident("Self"));
        for argument in &signature.inputs {
            match argument {
                syn::FnArg::Receiver(receiver) if receiver.reference.is_none() && is_self => values.push("self".into()),
                syn::FnArg::Typed(argument) if self.text(&*argument.ty) == self.text(&**ty) => {
                    if let syn::Pat::Ident(name) = &*argument.pat {
                        values.push(self.text(&name.ident).to_owned());
                    }
                }
                _ => {}
            }
        }
        values
    }

    /// Looks for code in the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        if tokens.is_empty() {
            return;
        }
        if let Ok(file) = syn::parse2::<syn::File>(tokens.clone()) {
            self.visit_file(&file);
        } else if let Ok(statements) = syn::Block::parse_within.parse2(tokens.clone()) {
            statements.iter().for_each(|statement| self.visit_stmt(statement));
        } else if let Ok(items) = Sequence::<syn::ImplItem>::parse.parse2(tokens.clone()) {
            items.0.iter().for_each(|item| self.visit_impl_item(item));
        } else if let Ok(list) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens.clone()) {
            list.iter().for_each(|expr| self.visit_expr(expr));
        } else {
            self.pieces(tokens);
        }
    }

    /// Splits tokens that are no Rust at commas, semicolons and arrows, and looks into each piece.
    fn pieces(&mut self, tokens: TokenStream) {
        let depth = self.path.len();
        // A closure has commas that do not separate.
        let all: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let is_bar = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '|');
        if let Some(bar) = all.iter().position(is_bar)
            && let Ok(Leading(closure, rest)) = syn::parse2(all[bar..].iter().cloned().collect())
        {
            self.pieces(all[..bar].iter().cloned().collect());
            self.visit_expr(&closure.body);
            self.pieces(rest);
            return;
        }
        let mut piece: Vec<TokenTree> = Vec::new();
        let mut last = ' ';
        for token in tokens {
            let punct = if let TokenTree::Punct(punct) = &token { punct.as_char() } else { ' ' };
            let arrow = last == '=' && punct == '>';
            last = punct;
            if punct == ',' || punct == ';' || arrow {
                self.piece(std::mem::take(&mut piece));
            } else {
                piece.push(token);
            }
        }
        self.piece(piece);
        self.path.truncate(depth);
    }

    fn piece(&mut self, piece: Vec<TokenTree>) {
        let stream = |tokens: &[TokenTree]| tokens.iter().cloned().collect::<TokenStream>();
        // `key: expression` and `fn name(..) -> y { key: expression`.
        let is_colon = |i: usize| {
            let at = |i: usize| if let Some(TokenTree::Punct(p)) = piece.get(i) { Some(p) } else { None };
            at(i).is_some_and(|p| p.as_char() == ':' && p.spacing() == Spacing::Alone)
                && i.checked_sub(1).and_then(at).is_none_or(|p| p.as_char() != ':')
        };
        if let Some(colon) = (1..piece.len()).find(|&i| is_colon(i)) {
            let key = piece[colon - 1].to_string();
            if matches!(key.as_str(), "points" | "sample" | "formula" | "formulas") {
                return;
            }
            let value = stream(&piece[colon + 1..]);
            if let Ok(expr) = syn::parse2::<Expr>(value.clone()) {
                match (key.as_str(), &expr) {
                    ("primal" | "partial" | "eval", _) => self.row(&expr),
                    ("partials", Expr::Tuple(pair)) => pair.elems.iter().for_each(|partial| self.row(partial)),
                    _ => self.visit_expr(&expr),
                }
                return;
            }
        }
        if let Ok(expr) = syn::parse2::<Expr>(stream(&piece)) {
            self.visit_expr(&expr);
            return;
        }
        for i in 0..piece.len() {
            let before = |n: usize| i.checked_sub(n).map(|i| piece[i].to_string()).unwrap_or_default();
            match &piece[i] {
                TokenTree::Ident(name) if before(1) == "fn" => {
                    // The name holds until the next one.
                    if self.path.last().is_some_and(|last| last.starts_with("fn ")) {
                        self.path.pop();
                    }
                    self.path.push(format!("fn {name}"));
                }
                // Parameters and attributes.
                TokenTree::Group(_) if before(2) == "fn" || before(1) == "#" => {}
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace || !group.stream().is_empty() => {
                    let depth = self.path.len();
                    self.tokens(group.stream());
                    self.path.truncate(depth);
                }
                _ => {}
            }
        }
    }

    /// An expression of a row of the table of rules: its sign, and what is in it.
    fn row(&mut self, expr: &Expr) {
        let negated = format!("-({})", self.text(expr));
        self.replace(expr, vec![negated]);
        self.visit_expr(expr);
    }

    fn macro_rules(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for i in 0..tokens.len() {
            let is_body = i > 1 && tokens[i - 1].to_string() == ">" && tokens[i - 2].to_string() == "=";
            if let (true, TokenTree::Group(group)) = (is_body, &tokens[i]) {
                self.tokens(group.stream());
            }
        }
    }
}

struct Sequence<T>(Vec<T>);

impl<T: Parse> Parse for Sequence<T> {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(Self(items))
    }
}

/// A closure and what follows it.
struct Leading(syn::ExprClosure, TokenStream);

impl Parse for Leading {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self(input.parse()?, input.parse()?))
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

/// Values of a type, whatever the compiler says to them.
fn values(ty: &Type) -> Vec<String> {
    let list = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    match ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => list(&["()"]),
        Type::Tuple(tuple) => {
            let parts: Vec<Vec<String>> = tuple.elems.iter().map(values).collect();
            let of = |k: usize| {
                parts.iter().map(|part| part.get(k.min(part.len() - 1)).cloned()).collect::<Option<Vec<_>>>()
            };
            if parts.iter().any(Vec::is_empty) {
                return Vec::new();
            }
            (0..parts.iter().map(Vec::len).max().unwrap_or(0).min(2))
                .filter_map(|k| of(k).map(|values| format!("({},)", values.join(", "))))
                .collect()
        }
        Type::Reference(reference) => match (&*reference.elem, reference.mutability.is_some()) {
            (Type::Path(path), false) if path.path.is_ident("str") => list(&["\"\"", "\"xyzzy\""]),
            (Type::Slice(_), true) => list(&["&mut []"]),
            (Type::Slice(_), false) => list(&["&[]"]),
            _ => Vec::new(),
        },
        Type::Array(array) => {
            values(&array.elem).into_iter().take(2).map(|value| format!("::std::array::from_fn(|_| {value})")).collect()
        }
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner: Vec<String> = match &last.arguments {
                syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
                    Some(syn::GenericArgument::Type(ty)) => values(ty),
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            let wrap =
                |head: &str, tail: &str| inner.iter().map(|value| format!("{head}{value}{tail}")).collect::<Vec<_>>();
            match last.ident.to_string().as_str() {
                "bool" => list(&["true", "false"]),
                "usize" | "u8" | "u16" | "u32" | "u64" => list(&["0", "1"]),
                "isize" | "i8" | "i16" | "i32" | "i64" => list(&["0", "1", "-1"]),
                "f32" | "f64" => list(&["0.0", "1.0", "-1.0"]),
                "String" => list(&["String::new()", "\"xyzzy\".into()"]),
                "Option" => [list(&["None"]), wrap("Some(", ")")].concat(),
                "Result" => wrap("Ok(", ")"),
                "Vec" => [list(&["Vec::new()"]), wrap("vec![", "]")].concat(),
                "Ordering" => {
                    ["Less", "Equal", "Greater"].map(|order| format!("::std::cmp::Ordering::{order}")).to_vec()
                }
                _ => list(&["Default::default()", "::num_traits::Zero::zero()", "::num_traits::One::one()"]),
            }
        }
        _ => Vec::new(),
    }
}

/// What stands for an operator.
fn operators(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["/", "+"],
        BinOp::Div(_) => &["*", "%"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::BitXor(_) | BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", "==", ">"],
        BinOp::Gt(_) => &[">=", "==", "<"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["/=", "+="],
        BinOp::DivAssign(_) => &["*=", "%="],
        BinOp::RemAssign(_) => &["/=", "+="],
        BinOp::BitAndAssign(_) | BinOp::BitXorAssign(_) => &["|="],
        BinOp::BitOrAssign(_) => &["&="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        _ => &[],
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Binary(binary) if !has_let(expr) => {
                let (whole, op) = (expr.span().byte_range(), binary.op.span().byte_range());
                // The span of `+=` and its like may be that of its first character.
                let end = binary.right.span().byte_range().start;
                let gap = &self.source[op.start..end];
                let op_end = op.start + gap.find(|c: char| !"+-*/%&|^=<>!".contains(c)).unwrap_or(gap.len()).max(1);
                let head = &self.source[whole.start..op.start];
                let tail = &self.source[op_end..whole.end];
                let by = operators(&binary.op).iter().map(|op| format!("{head}{op} {tail}")).collect();
                self.replace(expr, by);
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_) | UnOp::Not(_)) => {
                let by = self.text(&unary.expr).to_owned();
                self.replace(expr, vec![by]);
            }
            Expr::Lit(lit) if self.literals => match &lit.lit {
                syn::Lit::Int(number) => {
                    let text = number.to_string();
                    self.replace(expr, vec![format!("{text} + 1")]);
                }
                syn::Lit::Float(number) => {
                    let text = number.to_string();
                    let is_large = number.base10_parse::<f64>().is_ok_and(|value| value > 1e6);
                    self.replace(expr, vec![format!("{text} {}", if is_large { "* 2.0" } else { "+ 1.0" })]);
                }
                _ => {}
            },
            Expr::Repeat(repeat) => return self.visit_expr(&repeat.expr),
            Expr::Const(_) => return,
            Expr::MethodCall(call) if is_test(&call.attrs) => return,
            Expr::Match(all) => {
                let has_rest = all.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
                for arm in &all.arms {
                    if let Some((_, guard)) = &arm.guard {
                        if !has_let(guard) {
                            self.replace(&**guard, vec!["true".to_owned(), "false".to_owned()]);
                        }
                    } else if has_rest && !matches!(arm.pat, syn::Pat::Wild(_)) {
                        let end = arm.pat.span().byte_range().end;
                        let name = self.text(&arm.pat).split_whitespace().collect::<Vec<_>>().join(" ");
                        self.add(end..end, Form::Arm, vec![(String::new(), format!("arm {name} -> deleted"))]);
                    }
                }
            }
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        match name.as_str() {
            "macro_rules" => self.macro_rules(mac.tokens.clone()),
            "matches" => {
                let value = mac.tokens.clone().into_iter().take_while(|token| token.to_string() != ",");
                self.tokens(value.collect());
            }
            // What the crate claims of itself holds, so that a weaker claim holds too.
            "debug_assert" | "debug_assert_eq" | "debug_assert_ne" => {}
            "stringify" | "concat" | "include_str" => {}
            _ => self.tokens(mac.tokens.clone()),
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let name = item.ident.as_ref().map_or_else(|| self.text(&item.mac.path).to_owned(), ToString::to_string);
        self.within(format!("{name}!"), |finder| finder.visit_macro(&item.mac));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, Some(&item.block), &item.attrs);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, Some(&item.block), &item.attrs);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.default.as_ref(), &item.attrs);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let ty = if let Type::Path(path) = &*item.self_ty { path.path.segments.last() } else { None };
        let ty = ty.map_or_else(|| self.text(&*item.self_ty).to_owned(), |segment| segment.ident.to_string());
        let of = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let name = of.map_or(ty.clone(), |of| format!("{} for {ty}", of.ident));
        self.within(name, |finder| item.items.iter().for_each(|item| finder.visit_impl_item(item)));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), |finder| visit::visit_item_trait(finder, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    // Nothing can be chosen at run time in these, or they hold no expressions.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_variant(&mut self, _: &'ast syn::Variant) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_generics(&mut self, _: &'ast syn::Generics) {}
    fn visit_path(&mut self, _: &'ast syn::Path) {}
    fn visit_angle_bracketed_generic_arguments(&mut self, _: &'ast syn::AngleBracketedGenericArguments) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}
