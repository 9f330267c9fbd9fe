//! Tokens → normalised text: a space between words, `?` for each literal and parameter, lists of literals folded to one.
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

/// A text so far. Pieces beyond a statement's limit are not kept.
#[derive(Debug, Default)]
pub(super) struct NormalText {
    pieces: Vec<TextPiece>,
}

/// A piece of text, and whether a bracket follows a space.
#[derive(Debug)]
struct TextPiece {
    text: String,
    is_spaced: bool,
    /// A value or a name: what a sign behind it is an operator to.
    is_operand: bool,
}

/// Most pieces: twice what fits.
const PIECES: usize = 2_048;

impl NormalText {
    /// Adds a token; `is_spaced` when blanks or comments stand before it.
    pub(super) fn push(&mut self, token: &Token, is_spaced: bool) {
        if self.pieces.len() >= PIECES {
            return;
        }
        let (text, is_operand) = match token {
            Token::Word(word) => match word.quote_style {
                None => (word.value.clone(), !is_before_value(word.keyword)),
                Some(quote) => (format!("{quote}{}{}", word.value, if quote == '[' { ']' } else { quote }), true),
            },
            Token::RParen | Token::RBracket => (token.to_string(), true),
            token if is_literal(token) => return self.literal(is_spaced),
            // What it stands for is not known: it may be text.
            Token::Char(_) => ("?".to_owned(), true),
            token => (token.to_string(), false),
        };
        let is_end = matches!(token, Token::RParen);
        self.pieces.push(TextPiece { text, is_spaced, is_operand });
        if is_end {
            self.fold_rows();
        }
    }

    fn literal(&mut self, is_spaced: bool) {
        // A sign that belongs to the number.
        let is_sign = |pieces: &[TextPiece]| match pieces {
            [.., before, sign] => matches!(&*sign.text, "-" | "+") && !before.is_operand && before.text != "?",
            _ => false,
        };
        if is_sign(&self.pieces) {
            self.pieces.pop();
        }
        if let [.., first, comma] = &self.pieces[..]
            && first.text == "?"
            && comma.text == ","
        {
            self.pieces.pop();
            return;
        }
        self.pieces.push(TextPiece { text: "?".to_owned(), is_spaced, is_operand: true });
    }

    /// `(?), (?)` → `(?)`.
    fn fold_rows(&mut self) {
        let texts = self.pieces.iter().rev().map(|piece| &*piece.text);
        if texts.take(7).eq([")", "?", "(", ",", ")", "?", "("]) {
            self.pieces.truncate(self.pieces.len() - 4);
        }
    }

    /// The text, cut; `None` when there is none.
    pub(super) fn finish(self, most: usize) -> Option<String> {
        let mut text = String::new();
        let mut before = "";
        for piece in &self.pieces {
            let is_tight = match &*piece.text {
                "," | ")" | "." | "[" | "]" | "::" | ":" => true,
                "(" => !piece.is_spaced && before != ",",
                _ => false,
            };
            if !text.is_empty() && !is_tight && !matches!(before, "(" | "." | "[" | "::" | ":") {
                text.push(' ');
            }
            if text.len() + piece.text.len() > most {
                text.push_str("...");
                break;
            }
            text.push_str(&piece.text);
            before = &piece.text;
        }
        (!text.is_empty()).then_some(text)
    }
}

/// Keywords behind which a sign belongs to a number.
fn is_before_value(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::WHERE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::WHEN
            | Keyword::BY
            | Keyword::DEFAULT
            | Keyword::RETURNING
    )
}

/// Whether a token is a literal or stands for one.
fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::QuoteDelimitedStringLiteral(_)
            | Token::NationalQuoteDelimitedStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}
