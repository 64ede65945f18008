//! The part of a URL behind the question mark.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::server::error::ErrorAnswer;

/// Names and values, in their order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// # Errors
    ///
    /// What is not text when it is decoded: it would be taken for another text.
    pub(super) fn of(uri: &Uri) -> Result<Self, ErrorAnswer> {
        let parts = uri.query().unwrap_or("").split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, ErrorAnswer>>()?))
    }

    /// The one value of a name, if it is there.
    ///
    /// # Errors
    ///
    /// There are several.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ErrorAnswer> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(ErrorAnswer::bad_request(format!("`{name}` is there more than once")));
        }
        Ok(value)
    }

    /// Every value of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Result<String, ErrorAnswer> {
    let text = text.replace('+', " ");
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(ErrorAnswer::bad_request("the query is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = "/x?topic=a%3Ab+c%2Bd&n&&e=1=2&l=1&l=%C3%A4&%6D=m";
        let query = Query::of(&query.parse().unwrap()).unwrap();
        assert_eq!(query.one("topic").unwrap(), Some("a:b c+d"));
        assert_eq!(query.one("n").unwrap(), Some(""));
        assert_eq!(query.one("e").unwrap(), Some("1=2"));
        assert_eq!(query.one("m").unwrap(), Some("m"));
        assert_eq!(query.one("none").unwrap(), None);
        assert_eq!(query.all("l").collect::<Vec<_>>(), ["1", "ä"]);
        assert!(query.one("l").is_err());
        assert_eq!(Query::of(&"/x".parse().unwrap()).unwrap().one("topic").unwrap(), None);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(Query::of(&"/x?topic=%ff".parse().unwrap()).is_err());
        // A sign that begins nothing stands for itself, as browsers take it.
        let odd = Query::of(&"/x?topic=100%".parse().unwrap()).unwrap();
        assert_eq!(odd.one("topic").unwrap(), Some("100%"));
    }
}
