//! Which signer of a requirement each real one stands for.
//!
//! Patterns of identities may overlap. One person who matches two of them has still signed once, so that entries are
//! given out: each to one real signer, and as many as can be.

use std::collections::{BTreeMap, BTreeSet};

/// One entry for each real signer, given with those that they match: different ones as far as possible (a maximum bipartite
/// matching). Signers who get none of their own are not in the answer.
///
/// Only signatures that count may be given: one that does not would take an entry from one that does.
pub(crate) fn assign<'a, P: Ord + Clone>(
    hits: impl IntoIterator<Item = (P, &'a [usize])>,
) -> BTreeMap<P, usize> {
    let mut wanted: BTreeMap<P, BTreeSet<usize>> = BTreeMap::new();
    for (who, entries) in hits {
        wanted.entry(who).or_default().extend(entries);
    }
    let people: Vec<(P, Vec<usize>)> = wanted
        .into_iter()
        .map(|(who, entries)| (who, entries.into_iter().collect()))
        .collect();
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    for person in 0..people.len() {
        augment(person, &people, &mut held);
    }
    held.into_iter()
        .filter_map(|(entry, person)| people.get(person).map(|(who, _)| (who.clone(), entry)))
        .collect()
}

/// Finds an entry for `first` by breadth-first search, moving others to entries that are free where that helps.
fn augment<P>(first: usize, people: &[(P, Vec<usize>)], held: &mut BTreeMap<usize, usize>) {
    // Entry to the person who wants it, and the entry that person would give up.
    let mut reached: BTreeMap<usize, (usize, Option<usize>)> = BTreeMap::new();
    let mut queue = vec![(first, None)];
    let mut next = 0;
    while let Some((person, given_up)) = queue.get(next).copied() {
        next += 1;
        for entry in people.get(person).map_or(&[][..], |(_, entries)| entries) {
            if reached.contains_key(entry) {
                continue;
            }
            reached.insert(*entry, (person, given_up));
            let Some(holder) = held.get(entry) else {
                let mut free = Some(*entry);
                while let Some((entry, (person, before))) =
                    free.and_then(|entry| Some((entry, *reached.get(&entry)?)))
                {
                    held.insert(entry, person);
                    free = before;
                }
                return;
            };
            queue.push((*holder, Some(*entry)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(hits: &[(&str, &[usize])]) -> Vec<usize> {
        let mut entries: Vec<usize> = assign(hits.iter().copied()).into_values().collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn one_person_who_matches_two_patterns_counts_once() {
        assert_eq!(entries(&[("alice", &[0, 1])]).len(), 1);
        assert_eq!(entries(&[("alice", &[0]), ("alice", &[1])]).len(), 1);
    }

    #[test]
    fn a_broad_pattern_does_not_take_the_narrow_ones_person() {
        let both = entries(&[("alice", &[0, 1]), ("bob", &[0])]);
        assert_eq!(both, [0, 1]);
        let four: [(&str, &[usize]); 4] = [
            ("a", &[0, 1]),
            ("b", &[0, 2]),
            ("c", &[0]),
            ("d", &[2, 1, 3]),
        ];
        assert_eq!(entries(&four), [0, 1, 2, 3]);
    }

    #[test]
    fn two_people_for_one_pattern_count_once() {
        assert_eq!(entries(&[("alice", &[0]), ("bob", &[0])]), [0]);
    }
}
