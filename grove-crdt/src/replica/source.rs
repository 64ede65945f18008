//! The text of a user's statement, cut at its tokens.
//!
//! Parts of it go into queries of ours as they were written, not as a parser would print them, so that a literal or an
//! operator means there what it means to the database in the statement.

use std::{collections::BTreeMap, ops::Range};

use sea_orm::DbBackend;
use sqlparser::{
    ast,
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

/// What reads a backend's SQL.
pub(super) fn dialect(backend: DbBackend) -> &'static dyn Dialect {
    match backend {
        DbBackend::MySql => &MySqlDialect {},
        DbBackend::Postgres => &PostgreSqlDialect {},
        _ => &SQLiteDialect {},
    }
}

/// Whether MySQL or MariaDB would run comments of this text as part of the statement.
pub(super) fn has_executable_comment(sql: &str, backend: DbBackend) -> bool {
    backend == DbBackend::MySql && (sql.contains("/*!") || sql.contains("/*M!"))
}

/// A statement's text and tokens. Ranges are of tokens, white space and comments included.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    backend: DbBackend,
    tokens: Vec<TokenWithSpan>,
    /// Where each token begins in the text.
    starts: Vec<usize>,
    /// The places of the values that placeholders stand for, by the placeholder's token.
    placeholders: BTreeMap<usize, usize>,
}

impl Source {
    /// Reads a statement; `None` when it has no tokens that its backend's dialect knows.
    pub(super) fn read(text: &str, backend: DbBackend) -> Option<Self> {
        let tokens = Tokenizer::new(dialect(backend), text).tokenize_with_location().ok()?;
        Some(Self {
            starts: starts(text, &tokens)?,
            placeholders: placeholders(&tokens),
            text: text.to_owned(),
            backend,
            tokens,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.backend
    }

    /// The statements of the text.
    pub(super) fn parse(&self) -> Result<Vec<ast::Statement>, ParserError> {
        self.parser(0..self.tokens.len()).parse_statements()
    }

    /// Whether a part of the text is what the parser took `part` from, all of it and nothing more.
    pub(super) fn is<T: PartialEq>(
        &self,
        range: Range<usize>,
        part: &T,
        parse: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> bool {
        let mut parser = self.parser(range);
        parse(&mut parser).is_ok_and(|parsed| parsed == *part) && parser.peek_token().token == Token::EOF
    }

    fn parser(&self, range: Range<usize>) -> Parser<'static> {
        let tokens = range.filter(|index| !self.is_modifier(*index));
        let tokens = tokens.map(|index| self.tokens[index].clone()).collect();
        Parser::new(dialect(self.backend)).with_tokens_with_locations(tokens)
    }

    /// Whether a token is one of MySQL's words between `UPDATE` or `DELETE` and the table, which the parser takes for the
    /// table.
    fn is_modifier(&self, index: usize) -> bool {
        const MODIFIERS: [&str; 3] = ["LOW_PRIORITY", "IGNORE", "QUICK"];
        let is_one = |index: usize| MODIFIERS.iter().any(|word| self.is_word(index, word));
        if self.backend != DbBackend::MySql || !is_one(index) {
            return false;
        }
        let mut before = (0..index).rev().filter(|index| self.is_code(*index));
        let verb = before.find(|index| !is_one(*index));
        // `quick` is a name like any other, but where it stands before FROM.
        let quick = self.is_word(index, "QUICK");
        verb.is_some_and(|verb| self.is_word(verb, "DELETE") || self.is_word(verb, "UPDATE") && !quick)
    }

    pub(super) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn token(&self, index: usize) -> &Token {
        &self.tokens[index].token
    }

    /// Whether a token is more than white space or a comment.
    pub(super) fn is_code(&self, index: usize) -> bool {
        !matches!(self.token(index), Token::Whitespace(_))
    }

    /// Whether a token is this word, without quotes.
    pub(super) fn is_word(&self, index: usize, word: &str) -> bool {
        matches!(self.token(index), Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// The next token that is code, from `index` on.
    pub(super) fn code_from(&self, index: usize) -> Option<usize> {
        (index..self.tokens.len()).find(|index| self.is_code(*index))
    }

    /// The words of the text that are not quoted, from its beginning on, in upper case.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().filter_map(|token| match &token.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
            _ => None,
        })
    }

    /// Whether the text ends with the only `;` in it, or has none.
    pub(super) fn is_single(&self) -> bool {
        let mut code = (0..self.tokens.len()).filter(|index| self.is_code(*index));
        code.find(|index| *self.token(*index) == Token::SemiColon);
        code.all(|index| *self.token(index) == Token::SemiColon)
    }

    /// The place of the value that the placeholder at `location` stands for.
    pub(super) fn value_at(&self, location: Location) -> Option<usize> {
        let place = |token: &TokenWithSpan| (token.span.start.line, token.span.start.column);
        let sought = (location.line, location.column);
        let index = self.tokens.binary_search_by_key(&sought, place).ok()?;
        self.placeholders.get(&index).copied()
    }

    /// A placeholder that has no value when there are this many.
    pub(super) fn placeholder_beyond(&self, values: usize) -> Option<String> {
        let mut found = (0..self.tokens.len()).filter(|index| matches!(self.token(*index), Token::Placeholder(_)));
        let beyond = found.find(|index| self.placeholders.get(index).is_none_or(|value| *value >= values));
        beyond.map(|index| self.text_of(index).to_owned())
    }

    /// The text of a part, without comments. `bind` gives what stands for a value. Queries in it read what is, as they do
    /// in the statement: on MySQL they would read what was when the transaction began, were they not locking reads.
    pub(super) fn write(&self, range: Range<usize>, mut bind: impl FnMut(usize) -> String) -> String {
        let mut text = String::new();
        // For each open bracket, whether it is of a query, and one that says itself what it locks.
        let mut open: Vec<Option<bool>> = Vec::new();
        for index in range {
            let token = self.token(index);
            match token {
                Token::LParen => open.push(self.begins_query(index).then_some(false)),
                Token::RParen if open.pop() == Some(Some(false)) && self.backend == DbBackend::MySql => {
                    text.push_str(" LOCK IN SHARE MODE");
                }
                Token::Word(_) if self.begins_lock(index) => {
                    if let Some(Some(locks)) = open.last_mut() {
                        *locks = true;
                    }
                }
                _ => {}
            }
            match token {
                Token::Whitespace(_) => text.push(' '),
                Token::Placeholder(_) => match self.placeholders.get(&index) {
                    Some(value) => text.push_str(&bind(*value)),
                    None => text.push_str(self.text_of(index)),
                },
                _ => text.push_str(self.text_of(index)),
            }
        }
        text.trim().to_owned()
    }

    fn text_of(&self, index: usize) -> &str {
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        &self.text[self.starts[index]..end]
    }

    /// Whether the bracket at `index` is around a query.
    fn begins_query(&self, index: usize) -> bool {
        self.code_from(index + 1).is_some_and(|next| {
            *self.token(index) == Token::LParen && (self.is_word(next, "SELECT") || self.is_word(next, "WITH"))
        })
    }

    fn begins_lock(&self, index: usize) -> bool {
        let Some(next) = self.code_from(index + 1) else {
            return false;
        };
        self.is_word(index, "FOR") && (self.is_word(next, "UPDATE") || self.is_word(next, "SHARE"))
            || self.is_word(index, "LOCK") && self.is_word(next, "IN")
    }

    /// Whether a query says at its end what it locks.
    pub(super) fn locks(&self, range: Range<usize>) -> bool {
        let mut depth = 0_usize;
        range.into_iter().any(|index| {
            match self.token(index) {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && self.begins_lock(index)
        })
    }

    /// Whether there is a query within a part.
    pub(super) fn has_query(&self, range: Range<usize>) -> bool {
        range.into_iter().any(|index| self.begins_query(index))
    }

    /// Whether a part names a column.
    pub(super) fn names(&self, range: Range<usize>, column: &str) -> bool {
        range
            .into_iter()
            .any(|index| matches!(self.token(index), Token::Word(word) if word.value.eq_ignore_ascii_case(column)))
    }

    /// Whether a part gives another value each time it is evaluated.
    pub(super) fn is_random(&self, range: Range<usize>) -> bool {
        const FUNCTIONS: [&str; 22] = [
            "random",
            "random_normal",
            "random_bytes",
            "randomblob",
            "rand",
            "setseed",
            "sys_guid",
            "uuid",
            "uuid_short",
            "uuid_v4",
            "uuid_v7",
            "uuid_generate_v1",
            "uuid_generate_v1mc",
            "uuid_generate_v4",
            "uuidv4",
            "uuidv7",
            "gen_random_uuid",
            "gen_random_bytes",
            "nextval",
            "clock_timestamp",
            "statement_timestamp",
            "timeofday",
        ];
        let sequence = |index: usize| {
            let value = self.code_from(index + 1).filter(|next| self.is_word(*next, "VALUE"));
            self.is_word(index, "NEXT") && value.is_some()
        };
        self.calls(range.clone(), &FUNCTIONS)
            // MySQL's variables, assigned within an expression.
            || range.into_iter().any(|index| *self.token(index) == Token::Assignment || sequence(index))
    }

    /// Whether a part gives another value in the next statement, because time goes on.
    pub(super) fn is_timed(&self, range: Range<usize>) -> bool {
        const WORDS: [&str; 9] = [
            "CURRENT_DATE",
            "CURRENT_TIME",
            "CURRENT_TIMESTAMP",
            "LOCALTIME",
            "LOCALTIMESTAMP",
            "SYSDATE",
            "UTC_DATE",
            "UTC_TIME",
            "UTC_TIMESTAMP",
        ];
        const FUNCTIONS: [&str; 4] = ["now", "curdate", "curtime", "unix_timestamp"];
        // On PostgreSQL these are the time at which the transaction began.
        self.backend != DbBackend::Postgres
            && (self.calls(range.clone(), &FUNCTIONS)
                || range.into_iter().any(|index| {
                    WORDS.iter().any(|word| self.is_word(index, word))
                        || self.text_of(index).eq_ignore_ascii_case("'now'")
                }))
    }

    fn calls(&self, range: Range<usize>, functions: &[&str]) -> bool {
        range.into_iter().any(|index| {
            let is_call = || {
                let next = self.code_from(index + 1);
                next.is_some_and(|next| *self.token(next) == Token::LParen)
            };
            matches!(self.token(index), Token::Word(word)
                if functions.iter().any(|name| name.eq_ignore_ascii_case(&word.value)) && is_call())
        })
    }

    /// Whether a token is a keyword of the statement, and no name behind a dot.
    pub(super) fn is_keyword(&self, index: usize, keyword: Keyword) -> bool {
        let is_it = matches!(self.token(index), Token::Word(word)
            if word.keyword == keyword && word.quote_style.is_none());
        let before = || (0..index).rev().find(|index| self.is_code(*index));
        is_it && before().is_none_or(|before| *self.token(before) != Token::Period)
    }
}

/// Where each token begins in the text. A tokenizer counts lines and characters, but a text is cut at bytes.
fn starts(text: &str, tokens: &[TokenWithSpan]) -> Option<Vec<usize>> {
    let (mut line, mut column) = (1, 1);
    let mut chars = text.char_indices();
    let mut at = chars.next();
    let mut starts = Vec::with_capacity(tokens.len());
    for token in tokens {
        while (line, column) != (token.span.start.line, token.span.start.column) {
            let (_, passed) = at?;
            (line, column) = if passed == '\n' {
                (line + 1, 1)
            } else {
                (line, column + 1)
            };
            at = chars.next();
        }
        starts.push(at?.0);
    }
    Some(starts)
}

/// A placeholder without a number stands for the value of its own place.
fn placeholders(tokens: &[TokenWithSpan]) -> BTreeMap<usize, usize> {
    let found = tokens
        .iter()
        .enumerate()
        .filter_map(|(index, token)| match &token.token {
            Token::Placeholder(text) => Some((index, text.get(1..).unwrap_or_default())),
            _ => None,
        });
    let numbered = found.enumerate().filter_map(|(place, (index, number))| match number {
        "" => Some((index, place)),
        digits => Some((index, digits.parse::<usize>().ok()?.checked_sub(1)?)),
    });
    numbered.collect()
}

#[cfg(test)]
mod tests;
