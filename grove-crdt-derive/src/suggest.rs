//! Finds the option that a misspelt one was meant to be.

/// The name that `given` most likely stands for: one that it contains (`pn_counter`), or one that is at most two slips
/// of the keyboard away.
pub(crate) fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    if let Some(name) = names.iter().find(|name| given.contains(**name)) {
        return Some(name);
    }
    names
        .iter()
        .map(|name| (distance(&given, name), *name))
        .filter(|(distance, name)| *distance <= 2.min(name.len() / 2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, by the usual single row.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const NAMES: [&str; 4] = ["lww", "counter", "set", "default"];

    #[test]
    fn a_slip_finds_its_name() {
        assert_eq!(nearest("conter", &NAMES), Some("counter"));
        assert_eq!(nearest("lw", &NAMES), Some("lww"));
        assert_eq!(nearest("Default", &NAMES), Some("default"));
        assert_eq!(nearest("sets", &NAMES), Some("set"));
    }

    #[test]
    fn a_longer_name_for_the_same_thing_finds_it() {
        assert_eq!(nearest("pn_counter", &NAMES), Some("counter"));
        assert_eq!(nearest("orset", &NAMES), Some("set"));
    }

    #[test]
    fn an_unrelated_name_finds_nothing() {
        assert_eq!(nearest("replicated", &NAMES), None);
        assert_eq!(nearest("gt", &NAMES), None);
    }
}
