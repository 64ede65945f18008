//! The clauses of a write, as parts of its text.

use std::ops::Range;

use sqlparser::{
    ast::{self, SetExpr},
    keywords::Keyword,
    parser::Parser,
    tokenizer::Token,
};

use crate::replica::source::Source;

/// Where the clauses of a write are. Each is what the parser took it for, or it would not be here.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    /// The tables that an update or delete names besides its own.
    pub tables: Option<Range<usize>>,
    pub selection: Option<Range<usize>>,
    pub order_by: Option<Range<usize>>,
    pub limit: Option<Range<usize>>,
    /// What an update assigns, in the order of its assignments.
    pub assigned: Vec<Range<usize>>,
    /// The query whose rows are inserted, when they are not given one by one.
    pub query: Option<Range<usize>>,
}

impl Sections {
    /// Finds the clauses of an update; `None` when the text is not what the parser made of it.
    pub(super) fn of_update(source: &Source, update: &ast::Update) -> Option<Self> {
        let outline = Outline::of(source);
        let set = outline.find(0, Keyword::SET)?;
        let tables = match &update.from {
            None => None,
            Some(ast::UpdateTableFromKind::AfterSet(tables)) => Some(tables),
            Some(ast::UpdateTableFromKind::BeforeSet(_)) => return None,
        };
        let from = match tables {
            Some(_) => Some(outline.find_from(set)?),
            None => None,
        };
        let mut sections = Self::behind(&outline, set, from);
        sections.assigned = outline.assigned(outline.range(set + 1, from));
        let values = update.assignments.iter().map(|assignment| &assignment.value);
        let assigned = sections.assigned.len() == update.assignments.len()
            && values
                .zip(&sections.assigned)
                .all(|(value, range)| source.is(range.clone(), value, Parser::parse_expr));
        let parts = Parts {
            tables: tables.map(Vec::as_slice),
            selection: update.selection.as_ref(),
            order_by: &update.order_by,
            limit: update.limit.as_ref(),
        };
        (assigned && sections.are(source, &parts)).then_some(sections)
    }

    /// Finds the clauses of a delete.
    pub(super) fn of_delete(source: &Source, delete: &ast::Delete) -> Option<Self> {
        let outline = Outline::of(source);
        let from = outline.find(0, Keyword::FROM)?;
        let using = match &delete.using {
            Some(_) => Some(outline.find(from, Keyword::USING)?),
            None => None,
        };
        let sections = Self::behind(&outline, from, using);
        let parts = Parts {
            tables: delete.using.as_deref(),
            selection: delete.selection.as_ref(),
            order_by: &delete.order_by,
            limit: delete.limit.as_ref(),
        };
        sections.are(source, &parts).then_some(sections)
    }

    /// Finds the query of an insert.
    pub(super) fn of_insert(source: &Source, insert: &ast::Insert) -> Option<Self> {
        let mut sections = Self::default();
        let query = insert.source.as_deref();
        let Some(query) = query.filter(|query| !matches!(query.body.as_ref(), SetExpr::Values(_))) else {
            return Some(sections);
        };
        let outline = Outline::of(source);
        let start = (0..outline.places.len()).find(|place| outline.begins_query(*place))?;
        let ends = |place: &usize| {
            outline.is(*place, Keyword::RETURNING)
                || outline.is(*place, Keyword::ON)
                    && (outline.is(place + 1, Keyword::CONFLICT) || outline.is(place + 1, Keyword::DUPLICATE))
        };
        let end = (start + 1..outline.places.len()).find(ends);
        let range = outline.range(start, end);
        if !source.is(range.clone(), query, |parser| parser.parse_query().map(|query| *query)) {
            return None;
        }
        sections.query = Some(range);
        Some(sections)
    }

    /// The clauses behind the place `start`, the other tables behind `tables`.
    fn behind(outline: &Outline<'_>, start: usize, tables: Option<usize>) -> Self {
        let from = tables.unwrap_or(start);
        let selection = outline.find(from, Keyword::WHERE);
        let behind = selection.unwrap_or(from);
        let order_by = (behind..outline.places.len())
            .find(|place| outline.is(*place, Keyword::ORDER) && outline.is(place + 1, Keyword::BY));
        let limit = outline.find(behind, Keyword::LIMIT);
        let returning = outline.find(behind, Keyword::RETURNING);
        let clauses = [tables, selection, order_by, limit, returning];
        let part = |clause: Option<usize>, words: usize| {
            let clause = clause?;
            let next = clauses.iter().flatten().filter(|other| **other > clause).min();
            Some(outline.range(clause + words, next.copied()))
        };
        Self {
            tables: part(tables, 1),
            selection: part(selection, 1),
            order_by: part(order_by, 2),
            limit: part(limit, 1),
            ..Self::default()
        }
    }

    fn are(&self, source: &Source, parts: &Parts<'_>) -> bool {
        let tables = |parser: &mut Parser<'static>| parser.parse_comma_separated(Parser::parse_table_and_joins);
        let order = |parser: &mut Parser<'static>| parser.parse_comma_separated(Parser::parse_order_by_expr);
        let is_tables = match (&self.tables, parts.tables) {
            (Some(range), Some(part)) => source.is(range.clone(), &part.to_vec(), tables),
            (None, None) => true,
            _ => false,
        };
        let is_order = match &self.order_by {
            Some(range) => source.is(range.clone(), &parts.order_by.to_vec(), order),
            None => parts.order_by.is_empty(),
        };
        let is_expr = |range: &Option<Range<usize>>, part: Option<&ast::Expr>| match (range, part) {
            (Some(range), Some(part)) => source.is(range.clone(), part, Parser::parse_expr),
            (None, None) => true,
            _ => false,
        };
        is_tables && is_order && is_expr(&self.selection, parts.selection) && is_expr(&self.limit, parts.limit)
    }
}

/// What the parser found.
struct Parts<'a> {
    tables: Option<&'a [ast::TableWithJoins]>,
    selection: Option<&'a ast::Expr>,
    order_by: &'a [ast::OrderByExpr],
    limit: Option<&'a ast::Expr>,
}

/// The tokens of a statement that are in no brackets; of those in brackets, the opening bracket.
struct Outline<'a> {
    source: &'a Source,
    places: Vec<usize>,
    /// Where the statement ends.
    end: usize,
}

impl<'a> Outline<'a> {
    fn of(source: &'a Source) -> Self {
        let mut places = Vec::new();
        let mut end = source.tokens();
        let mut depth = 0_usize;
        for index in (0..source.tokens()).filter(|index| source.is_code(*index)) {
            match source.token(index) {
                Token::SemiColon if depth == 0 => {
                    end = index;
                    break;
                }
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                token => {
                    if depth == 0 {
                        places.push(index);
                    }
                    depth += usize::from(matches!(token, Token::LParen | Token::LBracket | Token::LBrace));
                }
            }
        }
        Self { source, places, end }
    }

    fn is(&self, place: usize, keyword: Keyword) -> bool {
        let token = self.places.get(place);
        token.is_some_and(|index| self.source.is_keyword(*index, keyword))
    }

    fn find(&self, start: usize, keyword: Keyword) -> Option<usize> {
        (start..self.places.len()).find(|place| self.is(*place, keyword))
    }

    /// A `FROM` that is not part of `IS DISTINCT FROM`.
    fn find_from(&self, start: usize) -> Option<usize> {
        let is_clause = |place: &usize| {
            self.is(*place, Keyword::FROM) && place.checked_sub(1).is_none_or(|p| !self.is(p, Keyword::DISTINCT))
        };
        (start..self.places.len()).find(is_clause)
    }

    fn begins_query(&self, place: usize) -> bool {
        const WORDS: [Keyword; 3] = [Keyword::SELECT, Keyword::WITH, Keyword::TABLE];
        let index = self.places[place];
        let begins = |index: usize| WORDS.iter().any(|word| self.source.is_keyword(index, *word));
        let mut inner = index;
        while *self.source.token(inner) == Token::LParen {
            match self.source.code_from(inner + 1) {
                Some(next) => inner = next,
                None => return false,
            }
        }
        begins(inner)
    }

    /// The tokens from one place to the next that matters, or to the first clause behind, or to the end.
    fn range(&self, start: usize, end: Option<usize>) -> Range<usize> {
        let index = |place: usize| self.places.get(place).copied().unwrap_or(self.end);
        index(start)..end.map_or(self.end, index)
    }

    /// The values in a list of assignments, which a clause may follow.
    fn assigned(&self, list: Range<usize>) -> Vec<Range<usize>> {
        const CLAUSES: [Keyword; 4] = [Keyword::WHERE, Keyword::ORDER, Keyword::LIMIT, Keyword::RETURNING];
        let mut values = Vec::new();
        let mut value = None;
        let mut end = list.end;
        for index in self.places.iter().copied().filter(|index| list.contains(index)) {
            if CLAUSES.iter().any(|clause| self.source.is_keyword(index, *clause)) {
                end = index;
                break;
            }
            match self.source.token(index) {
                Token::Eq if value.is_none() => value = Some(index + 1),
                Token::Comma => values.extend(value.take().map(|start| start..index)),
                _ => {}
            }
        }
        values.extend(value.map(|start| start..end));
        values
    }
}

#[cfg(test)]
mod tests;
