//! Settings: everything that is wrong is said at once, with its line; the sample of the README resolves.

use super::*;

fn mistakes(source: &str) -> String {
    File::parse(source, Mistakes::of(Some(Path::new("gimmetime.toml")))).expect_err("it has mistakes").to_string()
}

fn common() -> Common {
    Common { state: Some("/state".into()), ..Common::default() }
}

#[test]
fn every_mistake_is_said_at_once_with_its_line_and_the_nearest_name() {
    let source = "nmae = \"x\"\n[service]\nport = \"80\"\nhealht = \"/\"\nrollout = { failures = 0, max_percnt = 2 }\n\
                  [targets.local]\nlisten = \"8080\"\ncount = 1000\n";
    assert_eq!(
        mistakes(source),
        "gimmetime.toml:1: unknown key `nmae` (did you mean `name`?)\n\
         gimmetime.toml:3: `service.port`: expected a whole number from 1 to 65535, but found the string \"80\"\n\
         gimmetime.toml:4: unknown key `service.healht` (did you mean `health`?)\n\
         gimmetime.toml:5: `service.rollout.failures`: expected a whole number from 1 to 200, but found the number 0\n\
         gimmetime.toml:5: unknown key `service.rollout.max_percnt` (did you mean `max_percent`?)\n\
         gimmetime.toml:7: `targets.local.listen`: expected an address as 127.0.0.1:8080, but found `8080`\n\
         gimmetime.toml:8: `targets.local.count`: expected a whole number from 0 to 200, but found the number 1000"
    );
}

#[test]
fn a_mistake_of_syntax_names_its_line() {
    assert!(mistakes("name = \"a\"\nport = = 2\n").starts_with("gimmetime.toml:2: "));
}

#[test]
fn without_a_file_every_setting_has_a_default() {
    let settings =
        Settings::merge(&common(), &Environment::default(), File::default(), None).expect("defaults are right");
    assert_eq!((settings.name.as_str(), settings.target.as_str(), settings.count), ("gimmetime", "local", None));
    assert_eq!(settings.service.image, ImageSource::Builtin);
    assert_eq!((settings.service.health.as_str(), settings.service.probe.as_str()), ("/live", "/now"));
}

#[test]
fn a_flag_beats_the_file_and_a_target_beats_the_top() {
    let source = "name = \"filed\"\ncount = 3\n[targets.local]\ncount = 5\n[targets.other]\n";
    let file = File::parse(source, Mistakes::of(None)).expect("it is right");
    let flags = Common { name: Some("typed".to_owned()), ..common() };
    let settings = Settings::merge(&flags, &Environment::default(), file.clone(), None).expect("it is right");
    assert_eq!((settings.name.as_str(), settings.count), ("typed", Some(5)));
    let flags = Common { target: Some("other".to_owned()), ..common() };
    assert_eq!(Settings::merge(&flags, &Environment::default(), file, None).expect("it is right").count, Some(3));
}

#[test]
fn an_unknown_target_is_refused_with_the_nearest_one() {
    let file = File::parse("[targets.production]\n", Mistakes::of(None)).expect("it is right");
    let flags = Common { target: Some("prodution".to_owned()), ..common() };
    let error = Settings::merge(&flags, &Environment::default(), file, None).expect_err("there is none");
    assert_eq!(error.to_string(), "unknown target `prodution` (did you mean `production`?)");
}

#[test]
fn a_name_must_suit_a_load_balancer() {
    assert_eq!(check_name("engage-infra"), Ok(()));
    for wrong in ["", "-a", "1a", "a-", "internal-a", "a_b", "a/b", &"a".repeat(33)] {
        assert!(check_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_duration_needs_its_unit() {
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("2h"), Ok(Duration::from_hours(2)));
    for wrong in ["", "5", "s", "1.5s", "-1s", "99999999999999999999s", "99999999999999999d"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_secret_must_be_a_reference() {
    let words = mistakes("[service]\nsecrets = { KEY = \"hunter2\" }\n");
    assert!(words.contains("secret `KEY` must be a reference"), "{words}");
    assert!(!words.contains("hunter2"), "a secret must not reach a message: {words}");
}
