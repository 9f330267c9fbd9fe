//! SQL text → what records say of it: literals replaced by `?`, lists folded, comments dropped, identifiers kept; the verb, the first table.
//! Tokens are sqlparser's. A text is cut before it comes here, so time and memory are bounded; what the tokenizer cannot read is left out, since
//! it may be a literal.
mod normal;

use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use normal::NormalText;

/// Bytes of a text that are read at most; a longer one is cut by its protocol.
pub const TEXT_BYTES: usize = 8 * 1024;
/// Bytes of a normalised text.
pub const QUERY_BYTES: usize = 2_048;
/// Statements of one text that are told apart.
pub const STATEMENTS: usize = 64;

/// What is known of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlText {
    /// Its first word: `SELECT`; of a `WITH` the verb behind it.
    pub operation: Option<String>,
    /// The table that it names first.
    pub target: Option<String>,
    /// The normalised text.
    pub query: String,
}

/// The statements of a text for PostgreSQL. `is_cut`: it went on.
pub fn postgresql(text: &str, is_cut: bool) -> Vec<SqlText> {
    statements(&PostgreSqlDialect {}, text, is_cut)
}

/// The statements of a text for MySQL and MariaDB: a double-quoted text is a string.
pub fn mysql(text: &str, is_cut: bool) -> Vec<SqlText> {
    statements(&MySqlDialect {}, text, is_cut)
}

/// The statements of a text.
fn statements(dialect: &dyn Dialect, text: &str, is_cut: bool) -> Vec<SqlText> {
    let mut tokens = Vec::new();
    // The end of a text that was cut may be half of a literal; without its end it is none for the tokenizer, which stops there.
    let is_whole = Tokenizer::new(dialect, text).with_unescape(false).tokenize_with_location_into_buf(&mut tokens).is_ok() && !is_cut;
    let tokens: Vec<Token> = tokens.into_iter().map(|token| token.token).filter(|token| !matches!(token, Token::EOF)).collect();
    let mut statements: Vec<SqlText> = tokens.split(|token| *token == Token::SemiColon).take(STATEMENTS).filter_map(statement).collect();
    if let Some(last) = statements.last_mut().filter(|_| !is_whole) {
        last.query.push_str(" ...");
    }
    statements
}

/// Tokens of one statement; `None` when it is empty.
fn statement(tokens: &[Token]) -> Option<SqlText> {
    let mut text = NormalText::default();
    let mut is_spaced = false;
    for token in tokens {
        if matches!(token, Token::Whitespace(_)) {
            is_spaced = true;
        } else {
            text.push(token, is_spaced);
            is_spaced = false;
        }
    }
    let query = text.finish(QUERY_BYTES)?;
    let words: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    Some(SqlText { operation: operation(&words), target: target(&words), query })
}

/// The keyword of a token.
fn keyword(token: &Token) -> Keyword {
    if let Token::Word(word) = token { word.keyword } else { Keyword::NoKeyword }
}

fn operation(tokens: &[&Token]) -> Option<String> {
    let first = tokens.first().map(|token| keyword(token)).filter(|first| *first != Keyword::NoKeyword)?;
    let mut depth = 0_i32;
    let verb = tokens.iter().find_map(|token| {
        depth += match token {
            Token::LParen => 1,
            Token::RParen => -1,
            _ => 0,
        };
        let verb = keyword(token);
        let is_verb = matches!(verb, Keyword::SELECT | Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE);
        (depth == 0 && is_verb).then_some(verb)
    });
    let verb = if first == Keyword::WITH { verb.unwrap_or(first) } else { first };
    Some(format!("{verb:?}"))
}

/// The name behind the first FROM, INTO, UPDATE, COPY, JOIN or TABLE; none when that is a query or a function.
fn target(tokens: &[&Token]) -> Option<String> {
    for (at, token) in tokens.iter().enumerate() {
        let is_first = at == 0;
        let names = match keyword(token) {
            Keyword::FROM | Keyword::INTO | Keyword::JOIN | Keyword::TABLE => true,
            Keyword::UPDATE | Keyword::COPY | Keyword::TRUNCATE | Keyword::ANALYZE | Keyword::VACUUM => is_first,
            _ => false,
        };
        if names && let Some(name) = name(&tokens[at + 1..]) {
            return Some(name);
        }
    }
    None
}

/// `a.b` at the beginning of tokens.
fn name(tokens: &[&Token]) -> Option<String> {
    let fillers = [Keyword::IF, Keyword::NOT, Keyword::EXISTS, Keyword::ONLY, Keyword::TABLE];
    let start = tokens.iter().take_while(|token| fillers.contains(&keyword(token))).count();
    let mut name = String::new();
    let mut rest = tokens[start..].iter();
    loop {
        let Some(Token::Word(word)) = rest.next() else { return None };
        if word.quote_style.is_none() && matches!(word.keyword, Keyword::SELECT | Keyword::VALUES | Keyword::LATERAL | Keyword::STDIN) {
            return None;
        }
        name.push_str(&word.value);
        match rest.next() {
            Some(Token::Period) => name.push('.'),
            // A function, unless a list of columns or values follows the table of an INSERT.
            Some(Token::LParen) if !rest.as_slice().iter().any(|token| matches!(keyword(token), Keyword::VALUES | Keyword::SELECT)) => {
                return is_definition(rest.as_slice()).then_some(name);
            }
            _ => break,
        }
    }
    (name.len() <= 128).then_some(name)
}

/// What stands in the brackets of CREATE TABLE or COPY: a word first.
fn is_definition(tokens: &[&Token]) -> bool {
    matches!(tokens, [Token::Word(_), Token::Word(_), ..] | [Token::Word(_), Token::Comma | Token::RParen, Token::Word(_), ..])
}

#[cfg(test)]
mod tests;
