//! Which target gets the next request. Pure: a function of what is known of the targets and of a cursor that goes round.

use crate::control::Algorithm;

/// What is known of one target of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Requests in flight to it.
    pub(crate) in_flight: usize,
    /// Its connections were refused, and none was made since.
    pub(crate) ejected: bool,
    /// This request failed on it already.
    pub(crate) tried: bool,
}

/// The index of the target for the next request; `None` if all were tried, or there is none.
///
/// An ejected target is chosen only if nothing else is left. The n-th eligible target is taken, not the next one after an
/// ineligible one: the neighbour of a dead target would bear twice the load.
pub(crate) fn choose(
    algorithm: Algorithm,
    cursor: usize,
    candidates: impl Iterator<Item = Candidate> + Clone,
) -> Option<usize> {
    let open = |candidate: &Candidate| !candidate.tried && !candidate.ejected;
    let untried = |candidate: &Candidate| !candidate.tried;
    among(algorithm, cursor, candidates.clone(), open).or_else(|| among(algorithm, cursor, candidates, untried))
}

fn among(
    algorithm: Algorithm,
    cursor: usize,
    candidates: impl Iterator<Item = Candidate> + Clone,
    eligible: impl Fn(&Candidate) -> bool,
) -> Option<usize> {
    let most = match algorithm {
        Algorithm::RoundRobin => usize::MAX,
        Algorithm::LeastOutstandingRequests => {
            candidates.clone().filter(&eligible).map(|candidate| candidate.in_flight).min()?
        }
    };
    let fits = |candidate: &Candidate| eligible(candidate) && candidate.in_flight <= most;
    let count = candidates.clone().filter(fits).count();
    let nth = cursor.checked_rem(count)?;
    candidates.enumerate().filter(|(_, candidate)| fits(candidate)).nth(nth).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (0_usize..5, any::<bool>(), any::<bool>()).prop_map(|(in_flight, ejected, tried)| Candidate {
            in_flight,
            ejected,
            tried,
        })
    }

    proptest! {
        #[test]
        fn a_tried_target_is_never_chosen_and_an_untried_one_always_found(
            targets in prop::collection::vec(candidate(), 0..8), cursor: usize, least: bool,
        ) {
            let algorithm = if least { Algorithm::LeastOutstandingRequests } else { Algorithm::RoundRobin };
            let chosen = choose(algorithm, cursor, targets.iter().copied());
            prop_assert_eq!(chosen.is_some(), targets.iter().any(|target| !target.tried));
            if let Some(index) = chosen {
                prop_assert!(!targets[index].tried);
                let others = targets.iter().any(|target| !target.tried && !target.ejected);
                prop_assert!(!targets[index].ejected || !others);
            }
        }

        #[test]
        fn going_round_is_fair_whoever_is_ejected(ejected in prop::collection::vec(any::<bool>(), 1..8), start in 0_usize..1000) {
            let targets = || ejected.iter().map(|ejected| Candidate { in_flight: 0, ejected: *ejected, tried: false });
            let eligible = match ejected.iter().filter(|ejected| !**ejected).count() { 0 => ejected.len(), count => count };
            let mut hits = vec![0; ejected.len()];
            for cursor in start..start + eligible * 10 {
                hits[choose(Algorithm::RoundRobin, cursor, targets()).unwrap()] += 1;
            }
            prop_assert!(hits.iter().all(|count| *count == 10 || *count == 0), "{:?}", hits);
            prop_assert_eq!(hits.iter().filter(|count| **count == 10).count(), eligible);
        }

        #[test]
        fn the_least_busy_gets_the_request_and_ties_go_round(busy in prop::collection::vec(0_usize..4, 1..8)) {
            let targets = || busy.iter().map(|count| Candidate { in_flight: *count, ejected: false, tried: false });
            let least = *busy.iter().min().unwrap();
            let ties = busy.iter().filter(|count| **count == least).count();
            let mut hits = vec![0; busy.len()];
            for cursor in 0..ties * 3 {
                hits[choose(Algorithm::LeastOutstandingRequests, cursor, targets()).unwrap()] += 1;
            }
            for (index, count) in busy.iter().enumerate() {
                prop_assert_eq!(hits[index], if *count == least { 3 } else { 0 });
            }
        }
    }
}
