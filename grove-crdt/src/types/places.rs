//! Where the elements of a birth's sets stand.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, OnceLock},
};

use compact_str::CompactString;
use serde_json::Value as Json;

use crate::types::{Birth, Kind, set::element_key};

/// Sets of up to so many elements are gone through each time.
const FEW: usize = 8;

/// An index of one birth's elements by their keys. It is made when an element is first looked up: to look all of them up, one
/// after another, then takes about as long as to go through them.
#[derive(Clone, Default)]
pub(super) struct Places(OnceLock<Arc<Index>>);

#[derive(Default)]
struct Index {
    hasher: RandomState,
    /// For each field, the hash and the place of each element, in this order.
    fields: BTreeMap<CompactString, Vec<(u64, usize)>>,
}

impl Places {
    /// The first of the `elements` of a birth's field that has a key.
    pub(super) fn find<'a>(&self, birth: &Birth, field: &str, elements: &'a [Json], key: &str) -> Option<&'a Json> {
        if elements.len() <= FEW {
            return elements.iter().find(|element| element_key(element) == key);
        }
        let index = self.0.get_or_init(|| Arc::new(Index::of(birth)));
        let hash = index.hasher.hash_one(key);
        let places = index.fields.get(field)?;
        let from = places.partition_point(|(other, _)| *other < hash);
        let alike = places[from..].iter().take_while(|(other, _)| *other == hash);
        let mut alike = alike.filter_map(|(_, place)| elements.get(*place));
        alike.find(|element| element_key(element) == key)
    }
}

impl Index {
    fn of(birth: &Birth) -> Self {
        let mut index = Self::default();
        for (field, born) in birth.iter().filter(|(_, born)| born.kind == Kind::Set) {
            let elements = born.value.as_array().into_iter().flatten().enumerate();
            let hashed = elements.map(|(place, element)| (index.hasher.hash_one(element_key(element).as_str()), place));
            let mut places: Vec<_> = hashed.collect();
            places.sort_unstable();
            index.fields.insert(field.clone(), places);
        }
        index
    }
}

/// It says nothing that its birth does not.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        clock::Hlc,
        types::{Birth, BirthValue, Kind, Record, json::TEXTS},
    };

    fn at(ts: i64) -> Hlc {
        Hlc {
            ts,
            counter: 0,
            node: "a".parse().unwrap(),
        }
    }

    /// How many texts it takes to replace all elements of a birth one by one, and to merge that elsewhere.
    fn texts(elements: usize) -> usize {
        // Some are longer than a key may be.
        let element = |prefix: &str, number: usize| json!(format!("{prefix} {number} {}", "x".repeat(number % 200)));
        let all = |prefix| (0..elements).map(|number| element(prefix, number)).collect();
        let mut here = Record::default();
        let (kind, value) = (Kind::Set, all("old"));
        here.born(&at(1), Birth::from([("tags".into(), BirthValue { kind, value })]));
        let mut there = here.clone();
        let before = TEXTS.get();
        for number in 0..elements {
            here.remove("tags", &at(2), &element("old", number));
            here.insert("tags", &at(2), element("new", number));
        }
        there.join(&here);
        assert_eq!(there, here);
        assert_eq!(here.cells().len(), 2 * elements);
        let value = there.value("tags", Kind::Set).unwrap().unwrap();
        assert_eq!(value.as_array().map(Vec::len), Some(elements));
        TEXTS.get() - before
    }

    /// For each element that was touched, all of the birth were made texts again.
    #[test]
    fn what_a_set_takes_grows_with_its_elements_and_no_faster() {
        let (small, large) = (texts(500), texts(2_000));
        assert!(large <= 5 * small, "{small} and {large}");
    }

    #[test]
    fn an_index_does_not_outlive_its_birth() {
        let born = |elements: std::ops::Range<i32>| {
            let (kind, value) = (Kind::Set, elements.collect());
            Birth::from([("tags".into(), BirthValue { kind, value })])
        };
        let mut record = Record::default();
        record.born(&at(1), born(0..20));
        record.remove("tags", &at(2), &json!(3));
        record.died(&at(3));
        record.born(&at(4), born(10..40));
        record.remove("tags", &at(5), &json!(3));
        record.remove("tags", &at(5), &json!(30));
        let expected: Vec<_> = (10..40).filter(|number| *number != 30).collect();
        assert_eq!(record.value("tags", Kind::Set).unwrap(), Some(json!(expected)));
        assert_eq!(record.cells().len(), 1);
    }
}
