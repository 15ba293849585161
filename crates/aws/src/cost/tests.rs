use proptest::prelude::*;

use super::*;
use crate::samples::{default_place, made, yours};

#[track_caller]
fn check(spec: &PlaceSpec, expected: f64) {
    let monthly = price(spec).monthly();
    assert!((monthly - expected).abs() < 0.005, "{monthly} is not {expected}: {:#?}", price(spec).items);
}

#[test]
fn the_default_place_costs_what_its_bill_says() {
    // Balancer 18.40, idle capacity 0.29, tasks 18.02, addresses 14.60, logs 0.60.
    check(&default_place(), 51.91);
    let price = price(&default_place());
    assert_eq!(format!("{:.2}", price.hourly()), "0.07");
    let lines = Part::ALL.map(|part| format!("{} {:.2}", part.word(), price.monthly_of(part)));
    assert_eq!(lines, ["network 0.00", "balancer 18.69", "service 18.02", "addresses 14.60", "other 0.60"]);
    assert_eq!(price.items[2].formula, "2 × 730 h × (0.25 × 0.04048 + 0.5 × 0.004445)");
}

#[test]
fn a_nat_gateway_costs_by_the_zone_and_takes_the_addresses_of_the_tasks() {
    check(&PlaceSpec { network: made(Made::Nat, 2), ..default_place() }, 51.91 + 70.08);
    check(&PlaceSpec { network: made(Made::Nat, 3), ..default_place() }, 51.91 + 3.0 * 35.04 + 3.65 * 2.0);
}

#[test]
fn endpoints_cost_by_the_zone_and_spare_the_addresses_of_the_tasks() {
    let endpoints = PlaceSpec { network: made(Made::Endpoints, 2), ..default_place() };
    check(&endpoints, 51.91 + 48.18 - 7.30);
    let secrets = ["ssm:/time/key".to_owned(), "secretsmanager:db".to_owned()].into();
    check(&PlaceSpec { secrets, ..endpoints }, 51.91 + 5.0 / 3.0 * 48.18 - 7.30);
}

#[test]
fn a_network_of_yours_costs_nothing_here_but_its_addresses() {
    check(&PlaceSpec { network: yours(true), ..default_place() }, 51.91);
    check(&PlaceSpec { network: yours(false), ..default_place() }, 51.91 - 7.30);
}

#[test]
fn a_region_that_is_not_in_the_table_is_priced_as_ireland_and_says_so() {
    let elsewhere = PlaceSpec { region: "ap-southeast-2".to_owned(), ..default_place() };
    assert_eq!(price(&elsewhere), price(&default_place()));
    assert_eq!(price(&elsewhere).priced_as, "eu-west-1");
    assert_eq!(price(&PlaceSpec { region: "us-west-2".to_owned(), ..default_place() }).priced_as, "us-west-2");
}

fn any_mode() -> impl Strategy<Value = Made> {
    prop_oneof![Just(Made::Public), Just(Made::Nat), Just(Made::Endpoints)]
}

proptest! {
    #[test]
    fn more_tasks_more_zones_or_larger_tasks_never_cost_less(mode in any_mode(), zones in 2_u8..3, count in 0_u32..5000) {
        let spec = PlaceSpec { network: made(mode, zones), count, ..default_place() };
        let size = crate::spec::Size { memory: 1024, ..spec.size };
        let costs = |spec: &PlaceSpec| price(spec).monthly();
        let more_tasks = costs(&PlaceSpec { count: count + 1, ..spec.clone() });
        let more_zones = costs(&PlaceSpec { network: made(mode, zones + 1), ..spec.clone() });
        let larger = costs(&PlaceSpec { size, ..spec.clone() });
        prop_assert!(costs(&spec) < more_tasks && costs(&spec) < more_zones && costs(&spec) <= larger);
    }

    #[test]
    fn the_lines_of_the_plan_add_up(mode in any_mode(), count in 0_u32..5000) {
        let price = price(&PlaceSpec { network: made(mode, 2), count, ..default_place() });
        let lines: f64 = Part::ALL.into_iter().map(|part| price.monthly_of(part)).sum();
        prop_assert!((lines - price.monthly()).abs() < 1e-6);
    }
}
