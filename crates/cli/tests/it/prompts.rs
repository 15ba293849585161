//! What happens at a terminal: questions and their answers, lines that are drawn and taken away again, Ctrl-C.

use crate::cloud::place::Cloud;
use crate::held::Held;
use crate::place::{Place, eventually, kill};
use crate::program::task_settings;
use crate::terminal::{CTRL_C, CTRL_D, ENTER, Size, Terminal};

impl Cloud {
    /// A command of the program at a terminal of the usual size.
    fn at_terminal(&self, args: &[&str]) -> Terminal {
        Terminal::start(&self.command(args), Size::USUAL)
    }
}

impl Place {
    /// A command of the program at a terminal of the usual size.
    fn at_terminal(&self, args: &[&str]) -> Terminal {
        Terminal::start(&self.command(args), Size::USUAL)
    }
}

const QUESTION: &str = "interrupted: [d]etach (it goes on), [r]oll back to r1, [k]eep waiting?";

impl Held {
    /// A deployment at a terminal that was interrupted and asks what that shall mean.
    fn interrupted(&self) -> Terminal {
        let mut deploy = self.place.at_terminal(&["deploy"]);
        self.hold();
        deploy.says("r1 → r2").types(CTRL_C).says(QUESTION);
        deploy
    }
}

#[test]
fn ctrl_c_at_a_rollout_asks_and_detach_leaves_it_alone() {
    for answer in ["d\r", "detach\r", CTRL_C, CTRL_D] {
        let held = Held::ready();
        let mut deploy = held.interrupted();
        deploy.types(answer).says("detached: the rollout of r2 goes on").ends(2);
        held.let_go();
        held.place.must(&["deploy"]);
        assert_eq!(held.place.get("/greeting").unwrap().body, "new");
    }
}

#[test]
fn ctrl_c_at_a_rollout_asks_and_roll_back_goes_back() {
    let held = Held::ready();
    let mut deploy = held.interrupted();
    deploy.types("r").types(ENTER).says("r2 → r1");
    held.let_go();
    deploy.says(" 0 failed").ends(1);
    assert_eq!(held.place.get("/greeting").unwrap().body, "hello");
    // Its tasks are as stubborn as those before.
    let stubborn = held.place.task_pids();
    let mut down = held.place.at_terminal(&["down"]);
    down.says("stopping 2 tasks");
    // One that dies before the engine has heard of it would be replaced by another stubborn one.
    eventually("both are on their way out", || held.place.task_pids().is_empty().then_some(()));
    stubborn.into_iter().for_each(kill);
    down.says("left: nothing").ends(0);
}

#[test]
fn ctrl_c_at_a_rollout_asks_until_it_has_an_answer_and_keep_waiting_waits() {
    let held = Held::ready();
    let mut deploy = held.interrupted();
    for no_answer in ["", "yes", "R2"] {
        deploy.types(no_answer).types(ENTER).says("answer d, r or k");
    }
    deploy.types("k").types(ENTER).says("r1 → r2 · started 2 of 2");
    deploy.types(CTRL_C).says(QUESTION).types("keep waiting").types(ENTER);
    held.let_go();
    deploy.says("✔").says(" 0 failed").ends(0);
    assert_eq!(held.place.get("/greeting").unwrap().body, "new");
}

#[test]
fn a_rollout_that_ends_while_somebody_is_asked_says_so() {
    let held = Held::ready();
    let mut deploy = held.interrupted();
    held.let_go();
    deploy.says("it ended meanwhile").says("r1 → r2").says(" 0 failed").ends(0);
}

#[test]
fn an_answer_goes_to_the_question_that_is_asked_last() {
    let held = Held::ready();
    let mut first = held.place.at_terminal(&["deploy"]);
    held.hold();
    held.place.settings(&task_settings("env = { MODE = \"deaf\" }\nrollout = { failures = 200 }"));
    let mut second = held.place.at_terminal(&["deploy", "--wait"]);
    second.says("waiting: ").types(CTRL_C).says("[k]eep waiting?");
    held.let_go();
    first.says(" 0 failed").ends(0);
    // Its own rollout goes on and on: nobody answers the health checks, and that is no reason to turn back for long.
    second.says("it ended meanwhile").says("r2 → r3").types(CTRL_C).says("[r]oll back to r2, [k]eep waiting?");
    second.types("d").types(ENTER).says("detached: the rollout of r3 goes on").ends(2);
}

#[test]
fn somebody_elses_rollout_is_asked_about() {
    let held = Held::ready();
    let mut first = held.place.at_terminal(&["deploy"]);
    held.hold();
    let question = ". [a]ttach to it, [w]ait for its end, or [q]uit?";
    for quit in ["q\r", "\r", CTRL_C, CTRL_D] {
        let mut other = held.place.at_terminal(&["scale", "3"]);
        other.says(question).types(quit).says("pass --attach to follow it").ends(2);
    }
    let mut attached = held.place.at_terminal(&["scale", "3"]);
    attached.says(question).types("a").types(ENTER).says("following deploy r2");
    let mut waiting = held.place.at_terminal(&["scale", "3"]);
    waiting.says(question).types("wait").types(ENTER).says("following deploy r2");
    held.let_go();
    first.says(" 0 failed").ends(0);
    attached.says("✔").ends(0);
    waiting.says("3 of 3 healthy").ends(0);
}

#[test]
fn on_aws_up_asks_and_only_a_yes_makes_anything() {
    let cloud = Cloud::new();
    for no in ["n", "N", "no", "", "maybe"] {
        let mut up = cloud.at_terminal(&["up", "--no-smoke"]);
        up.says("26 to create").says("make it so? [y]es, [n]o").types(no).types(ENTER);
        up.says("nothing was changed").ends(2);
    }
    for key in [CTRL_C, CTRL_D] {
        let mut up = cloud.at_terminal(&["up", "--no-smoke"]);
        up.says("make it so? [y]es, [n]o").types(key).says("nothing was changed").ends(2);
    }
    // What was typed before the question is no answer to it.
    let mut up = cloud.at_terminal(&["up", "--no-smoke"]);
    up.types("y").types(ENTER).says("make it so? [y]es, [n]o").types(ENTER).says("nothing was changed").ends(2);
    assert_eq!(cloud.inventory(), Vec::<String>::new());

    let mut up = cloud.at_terminal(&["up", "--no-smoke"]);
    up.says("make it so? [y]es, [n]o").types("y").types(ENTER).says("2 of 2 healthy").ends(0);
    // Nobody is asked about nothing.
    cloud.at_terminal(&["up", "--no-smoke"]).says("nothing to change").says("2 of 2 healthy").ends(0);

    let name = &cloud.name;
    let question = format!("type the name: {name}");
    for wrong in ["yes", "", "gimmetime"] {
        let mut down = cloud.at_terminal(&["down"]);
        down.says("deletes ").says(&question).types(wrong).types(ENTER);
        down.says("nothing was deleted: that is not its name").ends(2);
    }
    cloud.at_terminal(&["down"]).says(&question).types(CTRL_C).says("nothing was deleted").ends(2);
    assert_eq!(cloud.json(&["status"])["healthy"], 2);
    let mut down = cloud.at_terminal(&["down"]);
    down.says(&question).types(name).types(ENTER).says("stack gone").says("left: 0 resources").ends(0);
    assert_eq!(cloud.inventory(), Vec::<String>::new());
}

#[test]
fn a_live_line_is_taken_away_before_the_result() {
    let place = Place::new();
    place.serve_task("");
    let mut up = place.at_terminal(&["up"]);
    up.says("started ").says("2 of 2 healthy").ends(0);
    let live = |shown: &str| shown.contains("started ") || shown.contains("healthy 2 of 2");
    assert!(!live(&up.shown()), "{up:?}");
    assert!(up.shown().starts_with("local · gimmetime · engine pid "), "{up:?}");
    let mut deploy = place.at_terminal(&["deploy", "--force"]);
    deploy.says("started ").says(" 0 failed").ends(0);
    assert!(!live(&deploy.shown()) && deploy.shown().starts_with("r1  sha256:"), "{deploy:?}");
    let mut down = place.at_terminal(&["down"]);
    down.says("left: nothing").ends(0);
    assert_eq!(down.shown().lines().count(), 1, "{down:?}");
}

#[test]
fn what_failed_is_told_in_lines_that_fit_the_terminal() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    place.serve_task("exit");
    for (args, code, words) in [(&["deploy"][..], 1, "never stopped"), (&["why"], 0, "all is well now")] {
        let mut told = Terminal::start(&place.command(args), Size { rows: 24, columns: 72 });
        told.says("cause ").says("evidence ").ends(code);
        assert!(told.shown().contains(words), "{told:?}");
        assert!(told.shown().lines().all(|line| line.chars().count() < 72), "{told:?}");
    }
}

#[test]
fn who_wants_no_colours_gets_no_escape_codes_and_neither_does_who_has_no_terminal() {
    let place = Place::new();
    place.serve_task("");
    let verbs: [&[&str]; 5] = [&["up"], &["deploy", "--force"], &["status"], &["releases"], &["rollback", "r9"]];
    for args in verbs {
        let mut command = place.command(args);
        let mut terminal = Terminal::start(command.env("NO_COLOR", "1"), Size::USUAL);
        terminal.ends(if args.contains(&"r9") { 2 } else { 0 });
        assert!(terminal.is_without_escapes(), "{terminal:?}");
        let ran = place.run(args);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
    let mut coloured = place.at_terminal(&["status"]);
    coloured.ends(0);
    assert!(!coloured.is_without_escapes(), "{coloured:?}");
    // A file that takes the remarks is no terminal, whatever standard output is.
    let line = format!("{} rollback r9 2>remarks", env!("CARGO_BIN_EXE_gimmetime"));
    let mut shell = place.command(&[]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]).current_dir(place.folder());
    for (name, value) in shell.env("TERM", "xterm").get_envs() {
        command.env(name, value.unwrap());
    }
    Terminal::start(&command, Size::USUAL).ends(2);
    let remarks = std::fs::read_to_string(place.folder().join("remarks")).unwrap();
    assert!(remarks.starts_with("error: ") && !remarks.contains('\u{1b}'), "{remarks}");
}

#[test]
fn what_is_watched_is_drawn_again_in_its_place_until_ctrl_c() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let mut watch = place.at_terminal(&["status", "--watch"]);
    watch.shows("the picture", |shown| shown.starts_with("local · gimmetime · ") && shown.contains("2 of 2"));
    place.must(&["scale", "3"]);
    watch.shows("the next one", |shown| shown.starts_with("local · gimmetime · ") && shown.contains("3 of 3"));
    assert_eq!(watch.shown().matches("local · gimmetime").count(), 1, "{watch:?}");
    watch.types(CTRL_C).ends(0);
    assert!(watch.shown().contains("3 of 3"), "the last picture stays: {watch:?}");
    assert_eq!(watch.scrolled(), 0, "{watch:?}");
}

#[test]
fn what_is_watched_fits_the_terminal_whatever_its_size() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up", "--count", "6"]);
    let small = Size { rows: 6, columns: 40 };
    let mut watch = Terminal::start(&place.command(&["status", "--watch"]), small);
    let fits = |shown: &str| {
        let lines: Vec<&str> = shown.lines().collect();
        let last = lines.last().is_some_and(|line| line.starts_with("… ") && line.ends_with(" more lines"));
        lines.len() == 5 && last && lines.iter().all(|line| line.chars().count() < 40)
    };
    watch.shows("a picture that fits", fits);
    assert_eq!(watch.scrolled(), 0, "{watch:?}");
    watch.becomes(Size { rows: 40, columns: 120 });
    watch.shows("all of it", |shown| shown.matches("RUNNING").count() == 6 && !shown.contains("more lines"));
    watch.becomes(small);
    watch.shows("a picture that fits again", fits);
    watch.types(CTRL_C).ends(0);
}
