//! When each rule is judged: every second, and where there are very many of them, in turns, so that a second's judging stays short. In: the
//! rules; out: the places of those whose turn it is.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::rule::Rule;
use crate::limits;

/// The turns of a list of rules.
#[derive(Debug)]
pub(super) struct Turns {
    /// Of each rule in the list.
    places: FxHashMap<Arc<str>, usize>,
    count: usize,
    next: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    number: usize,
    count: usize,
}

impl Turn {
    /// Whether the rule at this place is judged now.
    pub fn has(self, place: usize) -> bool {
        place % self.count == self.number
    }
}

impl Turns {
    /// Those of these rules. Of rules with one name the first counts.
    pub fn of(rules: &[Rule]) -> Self {
        let places = rules.iter().enumerate().rev().map(|(place, rule)| (rule.name.clone(), place)).collect();
        Self { places, count: rules.len().div_ceil(limits::RULES_AT_ONCE).max(1), next: 0 }
    }

    /// The next one.
    pub fn next(&mut self) -> Turn {
        let turn = Turn { number: self.next, count: self.count };
        self.next = (self.next + 1) % self.count;
        turn
    }

    /// Where the rule of a name is in the list.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_turn_and_few_have_it_each_second() {
        for (count, seconds) in [(0, 1), (1, 1), (limits::RULES_AT_ONCE, 1), (limits::RULES_AT_ONCE + 1, 2), (limits::ALERT_RULES, 10)] {
            let rules: Vec<Rule> =
                (0..count).map(|number| Rule { name: format!("rule {number}").into(), ..super::super::rule::degraded() }).collect();
            let mut turns = Turns::of(&rules);
            let mut judged = vec![0; count];
            for _ in 0..seconds {
                let turn = turns.next();
                let now: Vec<usize> = (0..count).filter(|place| turn.has(*place)).collect();
                assert!(now.len() <= limits::RULES_AT_ONCE);
                now.into_iter().for_each(|place| judged[place] += 1);
            }
            assert!(judged.iter().all(|times| *times == 1), "{count} rules");
            assert_eq!((turns.place("rule 0"), turns.place("other")), ((count > 0).then_some(0), None));
        }
    }
}
