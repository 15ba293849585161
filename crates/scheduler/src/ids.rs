//! Draws ids in the shapes ECS gives them, from one seed: the same inputs always give the same model.

use crate::model::TaskId;

/// Characters of a service deployment's id.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Length of a service deployment's id.
const SERVICE_DEPLOYMENT_ID_LENGTH: usize = 21;

/// Draws ids; the state is the model's own `seed`.
#[derive(Debug)]
pub(crate) struct Ids<'a>(pub(crate) &'a mut u64);

impl Ids<'_> {
    /// Thirty-two hex digits.
    pub(crate) fn task(&mut self) -> TaskId {
        TaskId(format!("{:016x}{:016x}", self.next(), self.next()))
    }

    /// `ecs-svc/` and nineteen digits.
    pub(crate) fn deployment(&mut self) -> String {
        let least: u64 = 1_000_000_000_000_000_000;
        format!("ecs-svc/{}", least + self.next() % (9 * least))
    }

    /// Twenty-one letters, digits, `-` and `_`.
    pub(crate) fn service_deployment(&mut self) -> String {
        (0..SERVICE_DEPLOYMENT_ID_LENGTH).map(|_| char::from(ALPHABET[(self.next() % 64) as usize])).collect()
    }

    /// A UUID, version 4 (RFC 9562 section 5.4).
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 1 << 63);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// The next number. `SplitMix64`: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
    fn next(&mut self) -> u64 {
        *self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shapes_ecs_gives_them() {
        let mut seed = 7;
        let mut ids = Ids(&mut seed);
        let task = ids.task().0;
        assert_eq!(task.len(), 32);
        assert!(task.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let deployment = ids.deployment();
        assert_eq!(deployment.len(), "ecs-svc/".len() + 19);
        assert!(deployment["ecs-svc/".len()..].bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(ids.service_deployment().len(), 21);
        let uuid = ids.uuid();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
    }

    #[test]
    fn the_same_seed_draws_the_same_ids_and_none_twice() {
        let draw = |mut seed: u64| (0..1000).map(|_| Ids(&mut seed).task()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(draw(3), draw(3));
        assert_eq!(draw(3).len(), 1000);
    }
}
