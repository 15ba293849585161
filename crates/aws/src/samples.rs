//! Places for tests: the default one, and every combination of two choices.

use std::collections::{BTreeMap, BTreeSet};

use gimmetime_ops::{Rollout, ServiceSpec};

use crate::spec::{Access, Logs, Made, Network, PlaceSpec, Roles, Scheme, Size};

/// What `gimmetime up --target production` makes with no settings but the region.
pub(crate) fn default_place() -> PlaceSpec {
    PlaceSpec {
        name: "gimmetime".to_owned(),
        region: "eu-west-1".to_owned(),
        network: made(Made::Public, 2),
        access: Access { scheme: Scheme::InternetFacing, ingress: vec!["0.0.0.0/0".to_owned()] },
        roles: Roles::default(),
        logs: Logs { retention_days: 30, memory: true },
        protect: false,
        tags: BTreeMap::new(),
        health: "/live".to_owned(),
        size: Size { cpu: 256, memory: 512 },
        count: 2,
        secrets: BTreeSet::new(),
    }
}

/// A network of ours.
pub(crate) fn made(mode: Made, zones: u8) -> Network {
    Network::Made { mode, zones, cidr: "10.42.0.0/16".to_owned() }
}

/// A network that is there.
pub(crate) fn yours(public_ip: bool) -> Network {
    let subnets = |digits: [&str; 2]| digits.map(|digit| format!("subnet-{}", digit.repeat(17))).to_vec();
    Network::Yours {
        vpc: format!("vpc-{}", "a".repeat(17)),
        balancer_subnets: subnets(["1", "2"]),
        task_subnets: subnets(["3", "4"]),
        public_ip,
    }
}

/// What runs in it by default.
pub(crate) fn default_service() -> ServiceSpec {
    ServiceSpec {
        image: format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/gimmetime@sha256:{}", "7".repeat(64)),
        declared_image: "builtin".to_owned(),
        version: "0.1.0".to_owned(),
        port: 8080,
        health: "/live".to_owned(),
        command: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        size: gimmetime_ops::Size { cpu: 256, memory: 512 },
        rollout: Rollout {
            min_healthy_percent: 100,
            max_percent: 200,
            failures: Some(2),
            stop_timeout: std::time::Duration::from_secs(30),
        },
        count: Some(2),
        git: None,
    }
}

/// What can be chosen for a place, one list a choice. Each entry changes the default place.
const CHOICES: [&[fn(&mut PlaceSpec)]; 11] = [
    &[
        |_| {},
        |place| place.network = made(Made::Public, 3),
        |place| place.network = made(Made::Nat, 2),
        |place| place.network = made(Made::Nat, 3),
        |place| place.network = made(Made::Endpoints, 2),
        |place| place.network = made(Made::Endpoints, 3),
        |place| place.network = yours(true),
        |place| place.network = yours(false),
    ],
    &[|_| {}, |place| place.access.scheme = Scheme::Internal],
    &[
        |_| {},
        |place| {
            place.access.ingress = ["203.0.113.0/24", "198.51.100.7/32", "2001:db8::/32"].map(str::to_owned).to_vec();
        },
    ],
    &[|_| {}, |place| place.roles.execution = Some("arn:aws:iam::123456789012:role/pull".to_owned())],
    &[|_| {}, |place| place.roles.task = Some("arn:aws:iam::123456789012:role/time/app".to_owned())],
    &[|_| {}, |place| place.roles.permissions_boundary = Some("arn:aws:iam::123456789012:policy/limits".to_owned())],
    &[|_| {}, |place| place.roles.path = Some("/time/".to_owned())],
    &[|_| {}, |place| place.logs = Logs { retention_days: 400, memory: false }],
    &[|_| {}, |place| place.protect = true],
    &[
        |_| {},
        |place| {
            place.tags = [("cost-center", "42"), ("Büro", "Zürich: 1 + 1 = 2")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        },
    ],
    &[
        |_| {},
        |place| place.secrets = ["ssm:/time/key".to_owned()].into(),
        |place| {
            place.secrets =
                ["secretsmanager:time/db:user::".to_owned(), "secretsmanager:time/db:password::".to_owned()].into();
        },
        |place| {
            place.secrets = [
                "ssm:key",
                "arn:aws:ssm:eu-west-1:123456789012:parameter/other",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf",
            ]
            .map(str::to_owned)
            .into();
        },
    ],
];

/// Places in which every two choices meet: what breaks a template is hardly ever three things at once, and all
/// combinations would be 16,384.
pub(crate) fn pairwise() -> Vec<PlaceSpec> {
    rows(&CHOICES.map(<[_]>::len)).into_iter().map(|row| place(&row)).collect()
}

fn place(row: &[usize]) -> PlaceSpec {
    let mut place = default_place();
    for (choices, chosen) in CHOICES.iter().zip(row) {
        choices[*chosen](&mut place);
    }
    place
}

/// Two choices with their entries, the earlier choice first.
type Pair = ((usize, usize), (usize, usize));

/// Rows that hold every pair of entries, greedily: each row begins with a pair that is missing, and takes of every other
/// choice the entry that adds most pairs. The same rows every time.
fn rows(sizes: &[usize]) -> Vec<Vec<usize>> {
    let pair = |a: (usize, usize), b: (usize, usize)| -> Pair { if a.0 < b.0 { (a, b) } else { (b, a) } };
    let mut missing: BTreeSet<Pair> = BTreeSet::new();
    for (first, second) in
        (0..sizes.len()).flat_map(|first| (first + 1..sizes.len()).map(move |second| (first, second)))
    {
        missing.extend((0..sizes[first]).flat_map(|x| (0..sizes[second]).map(move |y| ((first, x), (second, y)))));
    }
    let mut rows = Vec::new();
    while let Some((a, b)) = missing.first().copied() {
        let mut chosen = vec![a, b];
        for choice in (0..sizes.len()).filter(|choice| *choice != a.0 && *choice != b.0) {
            let adds = |entry: &usize| {
                chosen.iter().filter(|other| missing.contains(&pair(**other, (choice, *entry)))).count()
            };
            let entry = (0..sizes[choice]).rev().max_by_key(adds).expect("every choice has entries");
            chosen.push((choice, entry));
        }
        chosen.sort_unstable();
        for (index, one) in chosen.iter().enumerate() {
            missing.retain(|pair| chosen[index + 1..].iter().all(|other| *pair != (*one, *other)));
        }
        rows.push(chosen.into_iter().map(|(_, entry)| entry).collect());
    }
    rows
}

/// What runs in a place.
pub(crate) fn service_of(place: &PlaceSpec) -> ServiceSpec {
    let secrets = place.secrets.iter().enumerate().map(|(index, secret)| (format!("SECRET_{index}"), secret.clone()));
    ServiceSpec { secrets: secrets.collect(), ..default_service() }
}

#[test]
fn every_two_choices_meet_in_a_place() {
    let sizes = CHOICES.map(<[_]>::len);
    let rows = rows(&sizes);
    for (first, second) in
        (0..sizes.len()).flat_map(|first| (first + 1..sizes.len()).map(move |second| (first, second)))
    {
        let met: BTreeSet<(usize, usize)> = rows.iter().map(|row| (row[first], row[second])).collect();
        assert_eq!(met.len(), sizes[first] * sizes[second], "choices {first} and {second}");
    }
    assert!(rows.len() < 50, "{} places", rows.len());
}
