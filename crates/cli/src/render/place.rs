//! What a place on AWS would become, what it costs, and what happens to it: lines for people, objects for programs.

use gimmetime_aws::cost::{PRICES_OF, Price};
use gimmetime_aws::preflight::{Finding, Preflight, Severity};
use gimmetime_aws::stack::{Drift, Plan, PlannedAction, PlannedChange, Replacement};
use gimmetime_aws::{Doing, FirstPlan, PlaceEvent, Progress, ResourceEvent};
use serde_json::{Value, json};

use super::money::monthly;
use super::words::plain;
use super::{Printer, Tone, fit};

/// Where the column of dollars ends, if there is room for all of it.
const WIDTH: usize = 96;
/// Below this width a description has no room beside its price any more.
const NARROWEST: usize = 40;
/// Where descriptions begin, behind sign, part and number.
const DESCRIPTION: usize = 18;
/// Where the words on a change begin, behind its sign and what happens.
const CHANGE: usize = 13;

/// The width of a plan on a terminal that is so wide, or on none.
fn plan_width(columns: Option<usize>) -> usize {
    columns.unwrap_or(WIDTH).clamp(NARROWEST, WIDTH)
}

/// The lines of a first plan: one a part, then the sum. Descriptions are folded to `columns`; prices never are.
pub(crate) fn first(
    plan: &FirstPlan,
    found: Option<&Preflight>,
    columns: Option<usize>,
    printer: &Printer,
) -> Vec<String> {
    let width = plan_width(columns);
    let stack = found.and_then(|found| found.stack.as_ref());
    let there = stack.map_or_else(|| "nothing exists yet".to_owned(), |stack| format!("its stack is {}", stack.state));
    let mut lines = vec![with_price(&there, "$/month", width)];
    for line in &plan.lines {
        let create = if line.create == 0 { "–".to_owned() } else { line.create.to_string() };
        let dollars = monthly(line.monthly);
        let room = width - DESCRIPTION - 2 - dollars.len();
        let mut words = fit::fold(&line.words, " ", room, 0).into_iter();
        let first = format!("{:<10} {create:>3}  {}", line.part.word(), words.next().unwrap_or_default());
        lines.push(format!("{} {}", printer.paint(Tone::Good, "+"), with_price(&first, &dollars, width - 2)));
        lines.extend(words.map(|words| " ".repeat(DESCRIPTION) + &words));
    }
    let counts = format!("{} to create, 0 to change, 0 to replace", plan.create);
    lines.extend(with_sum(&counts, &plan.price, folded(columns)));
    lines.extend(plan.notes.iter().flat_map(|note| fit::fold(&format!("  note  {note}"), " ", folded(columns), 8)));
    lines
}

/// The width that sentences are folded to; where there is no terminal, they are not.
fn folded(columns: Option<usize>) -> usize {
    columns.map_or(usize::MAX, |columns| columns.max(NARROWEST))
}

/// The lines of a plan for a place that is there, and of what would change in its service.
pub(crate) fn changes(
    plan: &Plan,
    service: &[gimmetime_ops::three_way::Change],
    price: &Price,
    columns: Option<usize>,
    printer: &Printer,
) -> Vec<String> {
    let certain = plan.changes.iter().filter(|change| !is_perhaps(change));
    let mut lines: Vec<String> = certain.map(|change| change_line(change, printer)).collect();
    lines.extend(perhaps_line(plan, printer));
    for change in service {
        lines.push(format!("{} service    {}: {}", printer.paint(Tone::Warn, "~"), change.setting, change.words));
    }
    lines.extend(plan.drift.iter().flat_map(drift_lines));
    let mut lines: Vec<String> = lines.iter().flat_map(|line| fit::fold(line, " ", folded(columns), CHANGE)).collect();
    let counts = Counts::of(plan, service.len());
    let words = if counts.is_none() {
        "nothing to change".to_owned()
    } else {
        let Counts { create, change, replace, perhaps, remove } = counts;
        let replaced = if replace == 0 { "0 to replace".to_owned() } else { format!("{replace} to REPLACE") };
        let perhaps = if perhaps == 0 { String::new() } else { format!(", {perhaps} perhaps") };
        let remove = if remove == 0 { String::new() } else { format!(", {remove} to remove") };
        format!("{create} to create, {change} to change, {replaced}{perhaps}{remove}")
    };
    lines.extend(with_sum(&words, price, folded(columns)));
    lines
}

/// How many of each.
struct Counts {
    create: usize,
    change: usize,
    replace: usize,
    /// Those of which CloudFormation decides on the way whether they are replaced.
    perhaps: usize,
    remove: usize,
}

impl Counts {
    /// What the stack and the service would go through.
    fn of(plan: &Plan, service: usize) -> Self {
        let count = |wanted: fn(&PlannedChange) -> bool| plan.changes.iter().filter(|change| wanted(change)).count();
        Self {
            create: count(|change| change.action == PlannedAction::Add),
            change: service + count(|change| is_modified(change) && change.replacement == Replacement::No),
            replace: count(|change| is_modified(change) && change.replacement == Replacement::Yes),
            perhaps: count(is_perhaps),
            remove: count(|change| change.action == PlannedAction::Remove),
        }
    }

    fn is_none(&self) -> bool {
        self.create + self.change + self.replace + self.perhaps + self.remove == 0
    }
}

fn is_modified(change: &PlannedChange) -> bool {
    matches!(change.action, PlannedAction::Modify | PlannedAction::Other)
}

/// Whether CloudFormation decides on the way if another one takes its place: mostly because it refers to what changes.
fn is_perhaps(change: &PlannedChange) -> bool {
    is_modified(change) && change.replacement == Replacement::Maybe
}

/// All that are perhaps replaced, in one line: they are many as soon as one that others refer to changes.
fn perhaps_line(plan: &Plan, printer: &Printer) -> Option<String> {
    let names: Vec<&str> =
        plan.changes.iter().filter(|change| is_perhaps(change)).map(|change| change.logical_id.as_str()).collect();
    let sign = printer.paint(Tone::Warn, "~");
    (!names.is_empty()).then(|| format!("{sign} {:<10} {}: AWS decides on the way", "replace?", names.join(", ")))
}

fn change_line(change: &PlannedChange, printer: &Printer) -> String {
    let (sign, tone, word) = match (change.action, change.replacement) {
        (PlannedAction::Add, _) => ("+", Tone::Good, "create"),
        (PlannedAction::Remove, _) => ("-", Tone::Bad, "remove"),
        (_, Replacement::Yes) => ("!", Tone::Bad, "REPLACE"),
        (_, Replacement::Maybe | Replacement::No) => ("~", Tone::Warn, "change"),
    };
    let id = change.physical_id.as_ref().map_or_else(String::new, |id| format!("  {}", super::words::shorten(id)));
    let properties =
        if change.properties.is_empty() { String::new() } else { format!("  {}", change.properties.join(", ")) };
    format!("{} {word:<10} {} ({}){id}{properties}", printer.paint(tone, sign), change.logical_id, change.kind)
}

/// What was changed behind CloudFormation's back, and what to do about it: CloudFormation compares a template with the one
/// before, so it sets right only what a change touches, and makes nothing again that it believes to be there.
fn drift_lines(drift: &Drift) -> Vec<String> {
    let line = |drifted: &gimmetime_aws::stack::Drifted| {
        let what = if drifted.is_gone { "is gone".to_owned() } else { drifted.differences.join(", ") };
        format!("≠ drift      {} ({}): {what}", drifted.logical_id, drifted.kind)
    };
    let mut lines: Vec<String> = drift.drifted.iter().map(line).collect();
    if drift.drifted.iter().any(|drifted| !drifted.is_gone) {
        lines.push("             a property is set right when a change of the stack touches it".to_owned());
    }
    if drift.drifted.iter().any(|drifted| drifted.is_gone) {
        lines.push("             what is gone is made again by: gimmetime down, then gimmetime up".to_owned());
    }
    lines
}

/// What preflight found, the worst first. A hint may be a command to be copied: it is not folded.
pub(crate) fn findings(preflight: &Preflight, columns: Option<usize>, printer: &Printer) -> Vec<String> {
    let mut lines = Vec::new();
    for Finding { severity, words, hint } in &preflight.findings {
        let (tone, word) = match severity {
            Severity::Refusal => (Tone::Bad, "refused"),
            Severity::Consent => (Tone::Bad, "consent"),
            Severity::Warning => (Tone::Warn, "warning"),
            Severity::Unknown => (Tone::Dim, "unknown"),
        };
        let words = format!("{}  {words}", printer.paint(tone, word));
        lines.extend(fit::fold(&words, " ", folded(columns), 9));
        lines.extend(hint.iter().map(|hint| format!("         {hint}")));
    }
    lines
}

/// The stable JSON of what preflight found.
pub(crate) fn findings_json(preflight: &Preflight) -> Vec<Value> {
    let word = |severity| match severity {
        Severity::Refusal => "refusal",
        Severity::Consent => "consent",
        Severity::Warning => "warning",
        Severity::Unknown => "unknown",
    };
    let finding =
        |finding: &Finding| json!({ "severity": word(finding.severity), "words": finding.words, "hint": finding.hint });
    preflight.findings.iter().map(finding).collect()
}

/// Words, and dollars at the end of the line.
fn with_price(words: &str, dollars: &str, width: usize) -> String {
    let gap = width.saturating_sub(words.chars().count() + dollars.chars().count()).max(2);
    format!("{words}{}{dollars}", " ".repeat(gap))
}

/// What is done and what it costs, in one line if that has room for both.
fn with_sum(words: &str, price: &Price, width: usize) -> Vec<String> {
    let (monthly, hourly) = (monthly(price.monthly()), price.hourly());
    let sum = format!("{monthly} a month, ${hourly:.2} an hour (prices of {PRICES_OF})");
    let both = format!("{words}      {sum}");
    if fit::width(&both) <= width {
        return vec![both];
    }
    [words, &sum].into_iter().flat_map(|line| fit::fold(line, " ", width, 2)).collect()
}

/// The stable JSON of a price.
pub(crate) fn price_json(price: &Price) -> Value {
    let items: Vec<Value> = price
        .items
        .iter()
        .map(|item| json!({ "part": item.part.word(), "name": item.name, "formula": item.formula, "monthly": item.monthly }))
        .collect();
    json!({
        "monthly": price.monthly(),
        "hourly": price.hourly(),
        "prices_of": PRICES_OF,
        "priced_as": price.priced_as,
        "items": items,
    })
}

/// The stable JSON of a first plan.
pub(crate) fn first_json(plan: &FirstPlan) -> Value {
    let resources: Vec<Value> =
        plan.resources.iter().map(|resource| json!({ "id": resource.logical_id, "type": resource.kind })).collect();
    let lines: Vec<Value> = plan
        .lines
        .iter()
        .map(|line| json!({ "part": line.part.word(), "create": line.create, "words": line.words, "monthly": line.monthly }))
        .collect();
    json!({
        "exists": false,
        "create": plan.create, "change": 0, "replace": 0, "perhaps": 0, "remove": 0,
        "parts": lines,
        "resources": resources,
        "notes": plan.notes,
        "price": price_json(&plan.price),
    })
}

/// The stable JSON of a plan for a place that is there.
pub(crate) fn changes_json(plan: &Plan, service: &[gimmetime_ops::three_way::Change], price: &Price) -> Value {
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            json!({
                "action": action_word(change.action),
                "id": change.logical_id,
                "type": change.kind,
                "physical_id": change.physical_id,
                "replacement": replacement_word(change.replacement),
                "properties": change.properties,
            })
        })
        .collect();
    let drifted = plan.drift.as_ref().map(|drift| {
        let line = |drifted: &gimmetime_aws::stack::Drifted| {
            json!({
                "id": drifted.logical_id, "type": drifted.kind, "gone": drifted.is_gone, "differences": drifted.differences,
            })
        };
        drift.drifted.iter().map(line).collect::<Vec<_>>()
    });
    let Counts { create, change, replace, perhaps, remove } = Counts::of(plan, service.len());
    json!({
        "exists": true,
        "state": plan.stack.as_ref().map(|stack| stack.state.to_string()),
        "create": create, "change": change, "replace": replace, "perhaps": perhaps, "remove": remove,
        "changes": changes,
        "service": service,
        "drift": drifted,
        "price": price_json(price),
    })
}

fn action_word(action: PlannedAction) -> &'static str {
    match action {
        PlannedAction::Add => "add",
        PlannedAction::Modify => "modify",
        PlannedAction::Remove => "remove",
        PlannedAction::Other => "other",
    }
}

fn replacement_word(replacement: Replacement) -> &'static str {
    match replacement {
        Replacement::No => "no",
        Replacement::Maybe => "maybe",
        Replacement::Yes => "yes",
    }
}

/// Events of a stack as one line that counts: `making 12 of 24 · Balancer`.
#[derive(Debug, Default)]
pub(crate) struct PlaceProgress {
    done: usize,
    /// How many resources are expected; 0 if that is not known.
    of: usize,
    /// What was done last.
    news: String,
    /// The line as it is.
    whole: String,
}

impl PlaceProgress {
    /// For so many resources.
    pub(crate) fn of(of: usize) -> Self {
        Self { of, ..Self::default() }
    }

    /// Shows one more event.
    pub(crate) fn show(&mut self, event: &PlaceEvent, printer: &mut Printer) {
        match event {
            PlaceEvent::ServiceRoleMade { service } => {
                printer.note(format!("  made the service-linked role of {service}; it stays when the place goes"));
            }
            PlaceEvent::Began { .. } => {}
            PlaceEvent::Attached { state } => printer.note(format!("following what is in progress: {state}")),
            PlaceEvent::Resource(resource) => self.resource(resource, printer),
            PlaceEvent::RollingBack { reason } => printer.note(format!("  AWS undoes it: {}", plain(reason))),
            PlaceEvent::Retrying { reason } => printer.note(format!("  once more: {}", plain(reason))),
            PlaceEvent::Unanswered { reason } => {
                printer.note(format!("  AWS does not answer ({reason}); waiting goes on"));
            }
            PlaceEvent::Emptied { what, n } => printer.note(format!("  emptied {what}: {n}")),
            PlaceEvent::Held { what } => printer.note(format!("  held by {what}")),
        }
    }

    fn resource(&mut self, resource: &ResourceEvent, printer: &mut Printer) {
        let doing = match resource.doing {
            Doing::Create => "making",
            Doing::Update => "changing",
            Doing::Delete => "removing",
            Doing::RollBack => "undoing",
        };
        match &resource.progress {
            Progress::Failed(reason) => {
                printer.note(format!("  {} ({}) failed: {}", resource.logical_id, resource.kind, plain(reason)));
            }
            Progress::Done => self.done += 1,
            Progress::Started | Progress::Skipped => {}
        }
        let of = if self.of < self.done.max(1) { String::new() } else { format!(" of {}", self.of) };
        self.whole = format!("{doing} {}{of} · {}", self.done, resource.logical_id);
        // Elsewhere than on a terminal each quarter is news.
        let quarter = |done: usize| done * 4 / self.of.max(1);
        if resource.progress == Progress::Done && quarter(self.done - 1) < quarter(self.done) {
            self.news.clone_from(&self.whole);
        }
        printer.progress(&self.whole, &self.news);
    }

    /// Draws the line once more where it was taken away for a question.
    pub(crate) fn again(&self, printer: &mut Printer) {
        printer.progress(&self.whole, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        let hours = gimmetime_aws::cost::Item {
            part: gimmetime_aws::cost::Part::Balancer,
            name: "balancer hours",
            formula: "730 h × 0.01".to_owned(),
            monthly: 7.3,
        };
        Price { items: vec![hours], priced_as: "eu-west-1" }
    }

    fn modified(logical_id: &str, replacement: Replacement) -> PlannedChange {
        PlannedChange {
            action: PlannedAction::Modify,
            logical_id: logical_id.to_owned(),
            kind: "AWS::EC2::Subnet".to_owned(),
            physical_id: Some("subnet-1".to_owned()),
            replacement,
            properties: vec!["CidrBlock".to_owned()],
        }
    }

    #[test]
    fn what_is_certainly_replaced_stands_in_capitals_and_drift_is_told_with_its_remedy() {
        let drifted = gimmetime_aws::stack::Drifted {
            logical_id: "TaskLogs".to_owned(),
            kind: "AWS::Logs::LogGroup".to_owned(),
            physical_id: None,
            is_gone: false,
            differences: vec!["RetentionInDays: 30 → 7".to_owned()],
        };
        let gone = gimmetime_aws::stack::Drifted {
            logical_id: "Repository".to_owned(),
            kind: "AWS::ECR::Repository".to_owned(),
            physical_id: None,
            is_gone: true,
            differences: Vec::new(),
        };
        let plan = Plan {
            stack: None,
            action: gimmetime_aws::stack::Action::Update,
            changes: vec![
                modified("A", Replacement::Yes),
                modified("B", Replacement::Maybe),
                modified("C", Replacement::No),
                modified("D", Replacement::Maybe),
            ],
            drift: Some(Drift { drifted: vec![drifted, gone], ..Drift::default() }),
        };
        let service = [gimmetime_ops::three_way::Change { setting: "count".to_owned(), words: "2→3".to_owned() }];
        let price = price();
        let printer = Printer::new(&crate::args::Common::default(), true, true);
        assert_eq!(
            changes(&plan, &service, &price, None, &printer),
            [
                "! REPLACE    A (AWS::EC2::Subnet)  subnet-1  CidrBlock",
                "~ change     C (AWS::EC2::Subnet)  subnet-1  CidrBlock",
                "~ replace?   B, D: AWS decides on the way",
                "~ service    count: 2→3",
                "≠ drift      TaskLogs (AWS::Logs::LogGroup): RetentionInDays: 30 → 7",
                "≠ drift      Repository (AWS::ECR::Repository): is gone",
                "             a property is set right when a change of the stack touches it",
                "             what is gone is made again by: gimmetime down, then gimmetime up",
                &format!(
                    "0 to create, 2 to change, 1 to REPLACE, 2 perhaps      7.30 a month, $0.01 an hour (prices of {PRICES_OF})"
                ),
            ]
        );
    }

    #[test]
    fn a_plan_fits_a_narrow_terminal_with_every_sign_and_price() {
        let line = |part, create, words: &str, monthly| gimmetime_aws::PlanLine {
            part,
            create,
            words: words.to_owned(),
            monthly,
        };
        let plan = FirstPlan {
            create: 15,
            resources: Vec::new(),
            lines: vec![
                line(gimmetime_aws::cost::Part::Network, 10, "VPC 10.42.0.0/16, 2 zones, public subnets", 0.0),
                line(gimmetime_aws::cost::Part::Balancer, 5, "ALB :80", 1204.0),
            ],
            notes: vec!["everybody on the internet can connect to it".to_owned()],
            price: price(),
        };
        let printer = Printer::new(&crate::args::Common::default(), true, true);
        assert_eq!(
            first(&plan, None, Some(45), &printer),
            [
                "nothing exists yet                    $/month",
                "+ network     10  VPC 10.42.0.0/16, 2    0.00",
                "                  zones, public subnets",
                "+ balancer     5  ALB :80            1,204.00",
                "15 to create, 0 to change, 0 to replace",
                "7.30 a month, $0.01 an hour (prices of",
                &format!("  {PRICES_OF})"),
                "  note  everybody on the internet can connect",
                "        to it",
            ]
        );
        // Where there is no terminal, nothing is folded but what never had room.
        assert_eq!(first(&plan, None, None, &printer).len(), 5);
    }

    #[test]
    fn dollars_stand_in_one_column() {
        assert_eq!(with_price("a", "0.00", 10), "a     0.00");
        assert_eq!(with_price("a long sentence", "0.00", 10), "a long sentence  0.00");
    }
}
