//! What the README and the page on AWS show is true of this program: the settings are read, the commands exist.

use crate::place::{Place, Ran};

const README: &str = include_str!("../../../../README.md");
const AWS: &str = include_str!("../../../../AWS.md");

/// The text between a fence that opens with this word and the next one.
fn fenced(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let of_page = |page: &'static str| page.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap());
    [README, AWS].into_iter().flat_map(of_page).collect()
}

#[test]
fn the_settings_that_are_shown_are_read_without_a_mistake() {
    let place = Place::new();
    let samples = fenced("toml");
    assert!(!samples.is_empty());
    for sample in samples {
        place.settings(sample);
        place.must(&["ls"]);
    }
}

#[test]
fn every_command_that_is_shown_exists() {
    let consoles = fenced("console");
    let typed =
        consoles.iter().flat_map(|console| console.lines()).filter_map(|line| line.strip_prefix("$ gimmetime "));
    let tabled = README.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split('`').next().unwrap());
    let mut seen = 0;
    for command in typed.chain(tabled) {
        let verb = command.split([' ', ',']).next().unwrap();
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_gimmetime")).args([verb, "--help"]).output().unwrap();
        Ran::of(output).ends(0);
        seen += 1;
    }
    assert!(20 <= seen, "only {seen} commands were found");
}
