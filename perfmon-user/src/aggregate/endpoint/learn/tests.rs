//! Which positions fold, what stays, and that no row is lost.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A tree with its rows as their owner sees them: number → template and requests.
#[derive(Default)]
struct Learner {
    tree: Tree,
    rows: BTreeMap<u32, (String, u64)>,
    next: u32,
}

impl Learner {
    fn see(&mut self, path: &str) {
        let row = self.tree.find(path).unwrap_or_else(|| {
            self.next += 1;
            self.rows.insert(self.next, (path.into(), 0));
            let changes = self.tree.insert(path, self.next, &|row| self.rows[&row].1);
            let mut row = self.next;
            for (from, into) in changes.merged {
                let (_, hits) = self.rows.remove(&from).unwrap();
                self.rows.get_mut(&into).unwrap().1 += hits;
                row = if row == from { into } else { row };
            }
            for (renamed, name) in changes.renamed {
                if let Some(row) = self.rows.get_mut(&renamed) {
                    row.0 = name;
                }
            }
            row
        });
        self.rows.get_mut(&row).unwrap().1 += 1;
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rows.values().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names
    }
}

/// A word that no pattern takes for a value.
fn word(number: u32) -> String {
    let letter = |at: u32| char::from(b'a' + (number / 26_u32.pow(at) % 26) as u8);
    format!("w{}{}{}", letter(2), letter(1), letter(0))
}

#[test]
fn names_fold_and_their_requests_stay() {
    let mut learner = Learner::default();
    (0..500).for_each(|number| learner.see(&format!("/users/{}", word(number))));
    learner.see("/health");
    assert_eq!(learner.names(), ["/health", "/users/{id}"]);
    assert_eq!(learner.rows.values().map(|(_, hits)| hits).sum::<u64>(), 501);
}

#[test]
fn subtrees_of_folded_names_merge() {
    let mut learner = Learner::default();
    for number in 0..100 {
        learner.see(&format!("/users/{}", word(number)));
        learner.see(&format!("/users/{}/posts", word(number)));
        learner.see(&format!("/users/{}/posts/{{id}}", word(number)));
    }
    assert_eq!(learner.names(), ["/users/{id}", "/users/{id}/posts", "/users/{id}/posts/{id}"]);
}

#[test]
fn two_levels_of_names_fold_one_after_the_other() {
    let mut learner = Learner::default();
    (0..400).for_each(|number| learner.see(&format!("/repos/{}/{}/issues/{{id}}", word(number % 130), word(1_000 + number))));
    assert_eq!(learner.names(), ["/repos/{id}/{id}/issues/{id}"]);
}

#[test]
fn a_large_api_keeps_its_words() {
    let mut learner = Learner::default();
    for number in 0..80 {
        for path in ["", "/{id}", "/{id}/status"] {
            learner.see(&format!("/api/v1/{}{path}", word(number)));
            learner.see(&format!("/internal/{}{path}", word(number)));
        }
    }
    assert_eq!(learner.rows.len(), 480);
}

#[test]
fn busy_words_stay_and_rare_names_do_not() {
    let mut learner = Learner::default();
    for number in 0..60 {
        (0..20).for_each(|_| learner.see(&format!("/rpc/{}", word(number))));
    }
    assert_eq!(learner.rows.len(), 60);
}

#[test]
fn static_files_fold_late_and_keep_their_extension() {
    let mut learner = Learner::default();
    (0..90).for_each(|number| learner.see(&format!("/static/{}.js", word(number))));
    assert_eq!(learner.rows.len(), 90);
    (0..150).for_each(|number| learner.see(&format!("/static/{}.png", word(number))));
    assert_eq!(learner.rows.len(), 91);
    assert!(learner.names().contains(&"/static/{id}.png"));
}

#[test]
fn forgotten_rows_leave_nothing_behind() {
    let mut learner = Learner::default();
    (0..500).for_each(|number| learner.see(&format!("/a/{}/b/{}/", word(number % 40), word(number))));
    for (name, _) in std::mem::take(&mut learner.rows).into_values() {
        learner.tree.remove(&name);
    }
    assert_eq!(learner.tree.nodes(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_request_is_in_exactly_one_row(paths in prop::collection::vec("(/[a-e]{1,3}){1,4}/?", 1..600)) {
        let mut learner = Learner::default();
        paths.iter().for_each(|path| learner.see(path));
        prop_assert_eq!(learner.rows.values().map(|(_, hits)| hits).sum::<u64>(), paths.len() as u64);
        for (row, (name, _)) in &learner.rows {
            prop_assert_eq!(learner.tree.find(name), Some(*row), "{}", name);
        }
    }
}

#[test]
fn hexadecimal_digits_beside_a_value_are_one_too() {
    let mut learner = Learner::default();
    for path in ["/static/app.447494ef.js", "/static/app.{id}.js", "/static/app.ccdffcb4.js", "/static/app.defaced.js", "/static/app.js"] {
        learner.see(path);
    }
    assert_eq!(learner.names(), ["/static/app.defaced.js", "/static/app.js", "/static/app.{id}.js"]);
    assert_eq!(learner.rows.values().map(|(_, hits)| hits).sum::<u64>(), 5);
    let mut others = Learner::default();
    ["/static/b.{id}.js", "/static/app.447494ef.js", "/x/447494ef"].into_iter().for_each(|path| others.see(path));
    assert_eq!(others.names().len(), 3, "another file is another name");
}
