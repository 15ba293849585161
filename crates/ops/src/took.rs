//! How long a rollout took, as it is kept in its release's label: whole milliseconds as `key=value` words.

use std::time::Duration;

use crate::event::Ledger;
use crate::tags;

/// As a label's value.
pub(crate) fn encode(ledger: &Ledger) -> String {
    let Ledger { push, start, healthy, drain, serves_everyone, total } = *ledger;
    let phases = [
        ("push", push),
        ("start", start),
        ("healthy", healthy),
        ("drain", drain),
        ("serves", serves_everyone),
        ("total", Some(total)),
    ];
    let known = phases.into_iter().filter_map(|(name, time)| Some((name, time?.as_millis().to_string())));
    let facts: Vec<(&str, String)> = known.collect();
    tags::encode(&facts.iter().map(|(name, time)| (*name, time.as_str())).collect::<Vec<_>>())
}

/// From a label's value; None if it is not one of this program's.
pub(crate) fn decode(value: &str) -> Option<Ledger> {
    let facts = tags::decode(value);
    let time = |name: &str| facts.get(name)?.parse().ok().map(Duration::from_millis);
    Some(Ledger {
        push: time("push"),
        start: time("start"),
        healthy: time("healthy"),
        drain: time("drain"),
        serves_everyone: time("serves"),
        total: time("total")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phase() -> impl Strategy<Value = Option<Duration>> {
        proptest::option::of((0_u64..100_000_000).prop_map(Duration::from_millis))
    }

    proptest! {
        #[test]
        fn every_ledger_comes_back_from_its_label(
            push in phase(), start in phase(), healthy in phase(), drain in phase(), serves_everyone in phase(),
            total in 0_u64..1_000_000_000
        ) {
            let total = Duration::from_millis(total);
            let ledger = Ledger { push, start, healthy, drain, serves_everyone, total };
            let value = encode(&ledger);
            prop_assert_eq!(tags::legal(&value), value.clone());
            prop_assert_eq!(decode(&value), Some(ledger));
        }

        #[test]
        fn any_label_is_read_or_refused(value in ".{0,80}") {
            let _ = decode(&value);
        }
    }

    #[test]
    fn a_label_of_another_kind_is_no_ledger() {
        assert_eq!(decode("cause=answers:500"), None);
        assert_eq!(decode(""), None);
    }
}
