use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng, seq::IndexedRandom as _};
use serde::Serialize;

/// The bytes of a body.
const BODY: usize = 200;

/// What texts are made of.
const WORDS: [&str; 64] = [
    "about", "after", "again", "apple", "autumn", "basket", "before", "between", "bright", "candle", "carry", "change",
    "circle", "cloud", "corner", "country", "danger", "distance", "early", "earth", "effort", "engine", "evening",
    "family", "feather", "field", "forest", "friend", "garden", "gentle", "glass", "golden", "harbour", "heavy",
    "history", "island", "journey", "kitchen", "ladder", "letter", "market", "meadow", "moment", "mountain", "narrow",
    "number", "orange", "paper", "pattern", "people", "picture", "quiet", "railway", "reason", "river", "season",
    "silver", "simple", "station", "summer", "table", "thunder", "village", "winter",
];

/// One document. The same number always gives the same one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) status: String,
    pub(crate) view_count: i64,
}

impl Row {
    pub(crate) fn number(number: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(number as u64);
        let mut body = text(&mut random, BODY);
        body.truncate(BODY);
        Self {
            id: key(number),
            title: text(&mut random, 20),
            body,
            status: (*["draft", "review", "published"].choose(&mut random).unwrap_or(&"draft")).to_owned(),
            view_count: random.random_range(0..1_000),
        }
    }
}

/// The key of a document.
pub(crate) fn key(number: usize) -> String {
    format!("doc-{number:07}")
}

/// Words, of so many bytes or a few more.
fn text(random: &mut SmallRng, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(WORDS.choose(random).unwrap_or(&"word"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_gives_the_same_row_with_a_body_of_200_bytes() {
        let (row, again) = (Row::number(7), Row::number(7));
        assert_eq!((&row.title, &row.body), (&again.title, &again.body));
        assert_eq!(row.id, "doc-0000007");
        assert_ne!(row.body, Row::number(8).body);
        for number in 0..50 {
            assert_eq!(Row::number(number).body.len(), 200);
        }
    }
}
