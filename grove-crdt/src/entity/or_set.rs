//! The exact column type of a set.

use std::{collections::BTreeMap, fmt};

use sea_orm::{
    ActiveValue, ColIdx, IntoActiveValue, QueryResult, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::{
    entity::{Operation, Remembered, SetStep, origin::Origin},
    types::canonical,
};

/// A set column that remembers what was added and removed since it was read. The column holds a JSON array.
///
/// Under `#[crdt(set)]`, saving a set that was read adds and removes just what was added and removed here: an element that
/// somebody else added meanwhile stays. Removing an element that was not there does nothing. A set made anew
/// (`OrSet::from`, `collect`) means "make it so", and so does one that was read from another row than the one it is saved to.
///
/// ```
/// use grove_crdt::OrSet;
///
/// let mut tags: OrSet<String> = OrSet::from(["go", "crdt", "go"].map(String::from));
/// tags.remove(&"go".into());
/// tags.insert("rust".into());
/// assert_eq!(tags.iter().collect::<Vec<_>>(), ["crdt", "rust"]);
/// ```
///
/// Two elements are one when their JSON is the same. They are kept in the order of their canonical JSON texts. An element
/// that serde can't turn into JSON (a map with keys that are no strings, a failing `Serialize`) is not taken:
/// [`insert`](OrSet::insert) returns `false`.
#[derive(Clone)]
pub struct OrSet<T> {
    elements: BTreeMap<String, (Json, T)>,
    /// The steps since the set was read; `None` when it was not read.
    steps: Option<Vec<SetStep>>,
    /// The row that it was read from.
    origin: Option<Origin>,
}

impl<T> OrSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            elements: BTreeMap::new(),
            steps: None,
            origin: None,
        }
    }

    /// The elements, in the order of their canonical JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.elements.values().map(|(_, element)| element)
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    fn json(&self) -> Json {
        self.elements.values().map(|(json, _)| json.clone()).collect()
    }

    fn remembered(&self) -> Option<Remembered> {
        Some(Remembered {
            operation: Operation::Elements(self.steps.clone()?),
            origin: self.origin,
        })
    }
}

impl<T: Serialize> OrSet<T> {
    /// Adds an element. Adding one that is there is a write as well: it then survives a removal made elsewhere meanwhile.
    /// Returns whether it was not there before.
    pub fn insert(&mut self, element: T) -> bool {
        let Ok(json) = serde_json::to_value(&element) else {
            return false;
        };
        if let Some(steps) = &mut self.steps {
            steps.push(SetStep::Add(json.clone()));
        }
        self.elements.insert(canonical(&json), (json, element)).is_none()
    }

    /// Removes an element. Returns whether it was there.
    pub fn remove(&mut self, element: &T) -> bool {
        let Ok(json) = serde_json::to_value(element) else {
            return false;
        };
        let was_there = self.elements.remove(&canonical(&json)).is_some();
        if was_there && let Some(steps) = &mut self.steps {
            steps.push(SetStep::Remove(json));
        }
        was_there
    }

    /// Whether the element is there.
    #[must_use]
    pub fn contains(&self, element: &T) -> bool {
        serde_json::to_value(element).is_ok_and(|json| self.elements.contains_key(&canonical(&json)))
    }
}

impl<T: DeserializeOwned> OrSet<T> {
    fn from_json(json: Json) -> Result<Self, serde_json::Error> {
        let mut elements = BTreeMap::new();
        for json in serde_json::from_value::<Vec<Json>>(json)? {
            let element = T::deserialize(&json)?;
            elements.insert(canonical(&json), (json, element));
        }
        Ok(Self {
            elements,
            steps: None,
            origin: None,
        })
    }
}

/// What a set can hold: any type that serde can turn into JSON and back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an element of an `OrSet`",
    label = "a set travels as JSON: derive `serde::Serialize` and `serde::Deserialize` for `{Self}`"
)]
pub trait SetElement: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> SetElement for T {}

impl<T> Default for OrSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Serialize> FromIterator<T> for OrSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::new();
        for element in elements {
            set.insert(element);
        }
        set
    }
}

impl<T: Serialize, const N: usize> From<[T; N]> for OrSet<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T: Serialize> From<Vec<T>> for OrSet<T> {
    fn from(elements: Vec<T>) -> Self {
        elements.into_iter().collect()
    }
}

impl<T> PartialEq for OrSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.elements.keys().eq(other.elements.keys())
    }
}

impl<T> Eq for OrSet<T> {}

impl<T: fmt::Debug> fmt::Debug for OrSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T> Serialize for OrSet<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.elements.values().map(|(json, _)| json))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OrSet<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<T> From<OrSet<T>> for Value {
    fn from(set: OrSet<T>) -> Self {
        Value::Json(Some(Box::new(set.json())))
    }
}

impl<T: SetElement> TryGetable for OrSet<T> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let json = Json::try_get_by(row, index)?;
        let set = Self::from_json(json).map_err(|error| TryGetError::DbErr(sea_orm::DbErr::Json(error.to_string())))?;
        Ok(Self {
            steps: Some(Vec::new()),
            origin: Origin::of(row, index),
            ..set
        })
    }
}

impl<T: SetElement> ValueType for OrSet<T> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::Json(Some(json)) => Self::from_json(*json).map_err(|_| ValueTypeErr),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "OrSet".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::Json
    }

    fn column_type() -> ColumnType {
        ColumnType::Json
    }
}

impl<T> Nullable for OrSet<T> {
    fn null() -> Value {
        Value::Json(None)
    }
}

impl<T> IntoActiveValue<OrSet<T>> for OrSet<T> {
    fn into_active_value(self) -> ActiveValue<OrSet<T>> {
        ActiveValue::Set(self)
    }
}

/// Asks a set column for what it remembers: an [`OrSet`] answers, any other JSON-array type has nothing to say.
///
/// The inherent method wins over [`SetOperationFallback`]'s where it applies, so that the derive need not know the type.
#[derive(Debug)]
pub struct SetProbe<'a, T>(pub &'a T);

impl<T> SetProbe<'_, OrSet<T>> {
    /// Whether the type remembers steps.
    pub const REMEMBERS: bool = true;

    /// The steps made since the set was read.
    #[must_use]
    pub fn remembered(&self) -> Option<Remembered> {
        self.0.remembered()
    }
}

/// See [`SetProbe`].
pub trait SetOperationFallback {
    /// The type does not remember.
    const REMEMBERS: bool = false;

    /// Nothing: the type does not remember.
    fn remembered(&self) -> Option<Remembered> {
        None
    }
}

impl<T> SetOperationFallback for SetProbe<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: Json) -> OrSet<String> {
        OrSet {
            steps: Some(Vec::new()),
            ..OrSet::from_json(json).unwrap()
        }
    }

    #[test]
    fn remembers_what_was_done_to_what_was_read() {
        let mut tags = read(json!(["a", "b"]));
        assert!(tags.remove(&"a".into()));
        assert!(!tags.remove(&"never there".into()));
        assert!(tags.insert("c".into()));
        assert!(!tags.insert("b".into()));
        let steps = vec![
            SetStep::Remove(json!("a")),
            SetStep::Add(json!("c")),
            SetStep::Add(json!("b")),
        ];
        assert_eq!(tags.remembered().unwrap().operation, Operation::Elements(steps));
    }

    #[test]
    fn a_set_made_anew_remembers_nothing() {
        assert_eq!(OrSet::from(["a"]).remembered(), None);
        assert_eq!(SetProbe(&vec![1]).remembered(), None);
        const { assert!(SetProbe::<OrSet<String>>::REMEMBERS && !SetProbe::<Vec<i32>>::REMEMBERS) };
        assert!(SetProbe(&read(json!([]))).remembered().is_some());
    }

    #[test]
    fn one_set_has_one_json() {
        assert_eq!(OrSet::from(["b", "a", "b"]).json(), json!(["a", "b"]));
        assert_eq!(OrSet::from(["b", "a"]), OrSet::from(["a", "b", "a"]));
    }
}
