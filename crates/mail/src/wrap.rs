//! Lines of plain text.

use std::fmt::{self, Display, Write as _};

use icu_properties::CodePointMapData;
use icu_properties::props::{EastAsianWidth, LineBreak};

/// Columns of the plain text. Under 76, so that ASCII text is sent as it is, without soft line breaks (RFC 2045 §6.7
/// rule 5).
const COLUMNS: usize = 72;

/// A paragraph in lines of at most 72 columns. It breaks at spaces, and between characters of Chinese text as far as
/// Unicode allows (UAX 14); a word that is too long, an address, is not broken. A wide character takes two columns.
pub(super) struct Wrapped<'a>(pub(super) &'a str);

impl Display for Wrapped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut column = 0;
        for word in self.0.split_whitespace() {
            let mut is_after_space = column > 0;
            for piece in pieces(word) {
                let width: usize = piece.chars().map(columns).sum();
                if column > 0 && column + usize::from(is_after_space) + width > COLUMNS {
                    f.write_char('\n')?;
                    column = 0;
                } else if is_after_space {
                    f.write_char(' ')?;
                    column += 1;
                }
                f.write_str(piece)?;
                column += width;
                is_after_space = false;
            }
        }
        Ok(())
    }
}

/// The parts of a word between which a line may break.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut characters = rest.char_indices();
        let (_, mut before) = characters.next()?;
        for (at, after) in characters {
            if may_break(before, after) {
                let (piece, others) = rest.split_at(at);
                rest = others;
                return Some(piece);
            }
            before = after;
        }
        Some(std::mem::take(&mut rest))
    })
}

/// Whether a line may break between two characters of a word: next to an ideograph, unless the other one is punctuation
/// that belongs to it (UAX 14, LB13, LB14, LB30b and the pairs with ID).
fn may_break(before: char, after: char) -> bool {
    let class = |c| CodePointMapData::<LineBreak>::new().get(c);
    let (before, after) = (class(before), class(after));
    let stays = [
        LineBreak::ClosePunctuation,
        LineBreak::CloseParenthesis,
        LineBreak::Exclamation,
        LineBreak::InfixNumeric,
        LineBreak::BreakSymbols,
        LineBreak::Nonstarter,
        LineBreak::Quotation,
        LineBreak::CombiningMark,
        LineBreak::Glue,
        LineBreak::PostfixNumeric,
    ];
    let holds = [LineBreak::OpenPunctuation, LineBreak::Quotation, LineBreak::Glue, LineBreak::PrefixNumeric];
    let is_beside_ideograph = before == LineBreak::Ideographic
        || after == LineBreak::Ideographic
        || [LineBreak::ClosePunctuation, LineBreak::Nonstarter].contains(&before);
    is_beside_ideograph && !stays.contains(&after) && !holds.contains(&before)
}

/// The columns of a character in a fixed-width font (UAX 11).
fn columns(c: char) -> usize {
    match CodePointMapData::<EastAsianWidth>::new().get(c) {
        EastAsianWidth::Wide | EastAsianWidth::Fullwidth => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str) -> Vec<String> {
        Wrapped(text).to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn words_wrap_at_spaces() {
        assert_eq!(wrapped(""), [""; 0]);
        assert_eq!(wrapped(" a  b\n c "), ["a b c"]);
        let word = "abcdefghi";
        assert_eq!(wrapped(&[word; 9].join(" ")), [[word; 7].join(" "), [word; 2].join(" ")]);
        let address = format!("https://example.com/{}", "x".repeat(100));
        assert_eq!(wrapped(&format!("See {address} now")), ["See", address.as_str(), "now"]);
        assert_eq!(wrapped(&"é".repeat(72)), ["é".repeat(72)]);
    }

    #[test]
    fn chinese_wraps_between_characters() {
        let text = "登录".repeat(40);
        assert_eq!(wrapped(&text), ["登录".repeat(18), "登录".repeat(18), "登录".repeat(4)]);
        // No line begins with a full stop, nor ends with an opening bracket.
        let stop = format!("{}。{}", "字".repeat(36), "字".repeat(3));
        assert_eq!(wrapped(&stop), ["字".repeat(35), String::from("字。字字字")]);
        let bracket = format!("{}（UTC）", "字".repeat(35));
        assert_eq!(wrapped(&bracket), ["字".repeat(35), String::from("（UTC）")]);
        // A Latin word within it is not broken.
        let mixed = format!("{}Password{}", "字".repeat(33), "字".repeat(2));
        assert_eq!(wrapped(&mixed), ["字".repeat(33), String::from("Password字字")]);
        assert!(wrapped(&"密码，有效期至 2026年11月23日。".repeat(9)).iter().all(|line| {
            line.chars().map(columns).sum::<usize>() <= COLUMNS && !line.starts_with(['，', '。'])
        }));
    }

    #[test]
    fn pieces_are_the_word() {
        for word in ["", "a", "字", "a字b", "（字）。", "https://example.com/a"] {
            assert_eq!(pieces(word).collect::<String>(), word);
        }
        assert_eq!(pieces("https://example.com/a?b=c").count(), 1);
    }
}
