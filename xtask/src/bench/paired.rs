//! Figures of paired rounds (without perfmon, with a former one, with this one) and their tables: medians, and ratios of the rounds of the
//! same turn with their spread, beside the noise, which is the same ratio between neighbouring rounds of one subject.
use std::fmt::{self, Write as _};

use super::report::{median_of, spread};

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Nobody.
    None,
    /// The perfmon of `--former`.
    Former,
    /// The perfmon under measurement.
    New,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// nginx.
    Nginx,
    /// nginx, the load generator and whatever else runs.
    Everything,
}

impl Watched {
    /// Each end of a connection that is watched gives a record.
    pub fn records_per_request(self) -> u64 {
        match self {
            Self::Nginx => 1,
            Self::Everything => 2,
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx alone watched",
            Self::Everything => "everything watched",
        })
    }
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Who watched.
    pub subject: Subject,
    /// The server's CPU time a request, µs, under saturation.
    pub cpu_us: f64,
    /// Answers a second under saturation.
    pub per_second: f64,
    /// Median latency at 2,000 requests a second, µs.
    pub p50_us: f64,
    /// 99th percentile there, µs.
    pub p99_us: f64,
    /// perfmon's own cost.
    pub own: Option<Own>,
}

/// perfmon's own cost in one of its rounds.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// CPU time of the user side a record under saturation, µs.
    pub user_us: f64,
    /// Resident memory, bytes.
    pub rss_bytes: f64,
    /// Kernel maps, bytes.
    pub map_bytes: f64,
    /// Events lost during the round.
    pub lost: f64,
}

/// A kernel program's mean cost.
#[derive(Clone, Debug)]
pub struct ProgramCost {
    /// Name.
    pub name: String,
    /// Runs a request.
    pub runs_per_request: f64,
    /// Time of a run, the accounting included.
    pub ns_per_run: f64,
}

/// The kernel programs in one round.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Whose they are.
    pub subject: Subject,
    /// Dearest first.
    pub programs: Vec<ProgramCost>,
}

impl Kernel {
    fn ns_per_request(&self) -> f64 {
        self.programs.iter().map(|program| program.runs_per_request * program.ns_per_run).sum()
    }
}

/// A run at a high fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// Who watched.
    pub subject: Subject,
    /// Requests a second.
    pub per_second: f64,
    /// Requests.
    pub sent: u64,
    /// Requests that perfmon counted.
    pub counted: f64,
    /// Events that it lost.
    pub lost: f64,
    /// CPU time of the user side a record, µs.
    pub user_us: f64,
}

/// Socket operations of nginx (read, head, file) and of the load generator (write, read) that a request takes.
fn operations(watched: Watched) -> f64 {
    match watched {
        Watched::Nginx => 3.0,
        Watched::Everything => 5.0,
    }
}

/// A line for who waits.
pub fn progress(rounds: &[Round]) -> String {
    let of = |round: &Round| {
        let own = round.own.map_or(String::new(), |own| format!(", {:.2} µs a record", own.user_us));
        format!("{:?} {:.0}/s{own}", round.subject, round.per_second)
    };
    rounds.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// The tables of one kind of target. Each turn of `rounds` holds one round of each subject, in their order.
pub fn section(watched: Watched, rounds: &[Vec<Round>], kernel: &[Vec<Kernel>], rushes: &[Rush]) -> String {
    let mut text = format!("\n### {}\n", capitalised(&watched.to_string()));
    text.push_str(&server(rounds));
    text.push_str(&own(watched, rounds, kernel));
    text.push_str(&high_rate(rushes));
    text.push_str(&programs(kernel));
    text
}

/// One figure of a subject, by turns; turns in which it has none are left out.
type Series = Vec<f64>;

fn series(rounds: &[Vec<Round>], subject: Subject, figure: impl Fn(&Round) -> Option<f64>) -> Series {
    rounds.iter().filter_map(|turn| turn.iter().find(|round| round.subject == subject)).filter_map(figure).collect()
}

fn kernel_series(kernel: &[Vec<Kernel>], subject: Subject) -> Series {
    kernel.iter().filter_map(|turn| turn.iter().find(|round| round.subject == subject)).map(Kernel::ns_per_request).collect()
}

/// Ratios of the same turns, as text; a dash where one side is missing.
fn ratio(of: &Series, to: &Series) -> String {
    if of.is_empty() || to.is_empty() { "–".into() } else { spread(of.iter().zip(to).map(|(of, to)| of / to).collect()) }
}

/// Ratios of each turn to the one before.
fn noise(of: &Series) -> String {
    if of.len() < 2 { "–".into() } else { spread(of.windows(2).map(|pair| pair[1] / pair[0]).collect()) }
}

fn median(of: &Series, digits: usize) -> String {
    if of.is_empty() { "–".into() } else { format!("{:.digits$}", median_of(of.clone())) }
}

fn server(rounds: &[Vec<Round>]) -> String {
    let mut text = String::from(
        "\n| nginx, 1 KiB | without perfmon | former | new | former ÷ without | new ÷ without | new ÷ former | noise (without) |\n|---|---|---|---|---|---|---|---|\n",
    );
    let figures: [(&str, fn(&Round) -> f64); 4] = [
        ("CPU of the server a request, µs (saturated)", |round| round.cpu_us),
        ("requests a second (saturated)", |round| round.per_second),
        ("p50 at 2,000 requests a second, µs", |round| round.p50_us),
        ("p99 at 2,000 requests a second, µs", |round| round.p99_us),
    ];
    for (name, figure) in figures {
        let of = |subject| series(rounds, subject, |round| Some(figure(round)));
        let (none, former, new) = (of(Subject::None), of(Subject::Former), of(Subject::New));
        let medians = [&none, &former, &new].map(|series| median(series, 1)).join(" | ");
        let ratios = [ratio(&former, &none), ratio(&new, &none), ratio(&new, &former), noise(&none)].join(" | ");
        let _infallible = writeln!(text, "| {name} | {medians} | {ratios} |");
    }
    text
}

fn own(watched: Watched, rounds: &[Vec<Round>], kernel: &[Vec<Kernel>]) -> String {
    let mut text = String::from("\n| perfmon itself | former | new | new ÷ former | noise (new) |\n|---|---|---|---|---|\n");
    let of = |figure: fn(&Own) -> f64| [Subject::Former, Subject::New].map(|s| series(rounds, s, |round| round.own.as_ref().map(figure)));
    let in_kernel =
        |per: f64| [Subject::Former, Subject::New].map(|s| kernel_series(kernel, s).iter().map(|ns| ns / per).collect::<Series>());
    let mega = 1_048_576.0;
    let scaled = |all: [Series; 2]| all.map(|series| series.iter().map(|bytes| bytes / mega).collect::<Series>());
    let rows = [
        ("CPU of the user side a record, µs (saturated)", of(|own| own.user_us), 2),
        ("time in kernel programs a request, ns, accounting included", in_kernel(1.0), 0),
        ("time in kernel programs a socket operation, ns, accounting included", in_kernel(operations(watched)), 0),
        ("resident memory, MiB", scaled(of(|own| own.rss_bytes)), 1),
        ("kernel maps, MiB", scaled(of(|own| own.map_bytes)), 1),
    ];
    for (name, [former, new], digits) in rows {
        let (left, right) = (median(&former, digits), median(&new, digits));
        let _infallible = writeln!(text, "| {name} | {left} | {right} | {} | {} |", ratio(&new, &former), noise(&new));
    }
    let [former, new] =
        of(|own| own.lost).map(|lost| if lost.is_empty() { "–".into() } else { format!("{:.0}", lost.iter().sum::<f64>()) });
    let _infallible = writeln!(text, "| events lost, all rounds | {former} | {new} | | |");
    text
}

fn high_rate(rushes: &[Rush]) -> String {
    let mut text = String::from(
        "\n| at a high fixed rate | requests a second | requests | counted by perfmon | events lost | CPU of the user side a record, µs |\n|---|---|---|---|---|---|\n",
    );
    for rush in rushes {
        let Rush { subject, per_second, sent, counted, lost, user_us } = rush;
        let _infallible = writeln!(text, "| {} | {per_second:.0} | {sent} | {counted:.0} | {lost:.0} | {user_us:.2} |", name(*subject));
    }
    text
}

fn programs(kernel: &[Vec<Kernel>]) -> String {
    let mut text = String::from("\n| kernel program (new) | runs a request | ns a run (about 58 of them accounting) |\n|---|---|---|\n");
    let last = kernel.last().and_then(|turn| turn.iter().find(|round| round.subject == Subject::New));
    for program in last.iter().flat_map(|round| &round.programs) {
        let _infallible = writeln!(text, "| `{}` | {:.2} | {:.0} |", program.name, program.runs_per_request, program.ns_per_run);
    }
    text
}

fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::None => "without",
        Subject::Former => "former",
        Subject::New => "new",
    }
}

/// Headings begin with a capital, programs' names do not change.
fn capitalised(text: &str) -> String {
    if text.starts_with("nginx") {
        return text.into();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(subject: Subject, per_second: f64, user_us: f64) -> Round {
        let own = Own { user_us, rss_bytes: 1_048_576.0, map_bytes: 2_097_152.0, lost: 1.0 };
        Round { subject, cpu_us: 10.0, per_second, p50_us: 100.0, p99_us: 200.0, own: (subject != Subject::None).then_some(own) }
    }

    fn kernel(subject: Subject, ns_per_run: f64) -> Kernel {
        Kernel { subject, programs: vec![ProgramCost { name: "sock_send".into(), runs_per_request: 2.0, ns_per_run }] }
    }

    #[test]
    fn rounds_of_the_same_turn_are_compared() {
        let turn =
            |none, former, new| vec![round(Subject::None, none, 0.0), round(Subject::Former, former, 4.0), round(Subject::New, new, 2.0)];
        let rounds = [turn(1_000.0, 500.0, 800.0), turn(2_000.0, 1_500.0, 1_500.0)];
        let kernels = [vec![kernel(Subject::Former, 300.0), kernel(Subject::New, 150.0)]];
        let rushes = [Rush { subject: Subject::New, per_second: 20_000.0, sent: 9, counted: 9.0, lost: 0.0, user_us: 1.5 }];
        let text = section(Watched::Nginx, &rounds, &kernels, &rushes);
        let line = |begin: &str| text.lines().find(|line| line.starts_with(begin)).unwrap_or_default().to_owned();
        assert_eq!(
            line("| requests a second"),
            "| requests a second (saturated) | 1500.0 | 1000.0 | 1150.0 | 0.625 [0.500–0.750] | 0.775 [0.750–0.800] | 1.300 [1.000–1.600] | 2.000 [2.000–2.000] |"
        );
        assert!(line("| CPU of the user side").contains("| 4.00 | 2.00 | 0.500 [0.500–0.500] |"), "{text}");
        assert!(line("| time in kernel programs a socket operation").contains("| 200 | 100 | 0.500 [0.500–0.500] | – |"), "{text}");
        assert!(line("| events lost").contains("| 2 | 2 |"), "{text}");
        assert_eq!(line("| new |"), "| new | 20000 | 9 | 9 | 0 | 1.50 |");
    }

    #[test]
    fn without_a_former_perfmon_its_columns_are_dashes() {
        let text = section(Watched::Everything, &[vec![round(Subject::None, 10.0, 0.0), round(Subject::New, 5.0, 2.0)]], &[], &[]);
        assert!(text.contains("### Everything watched"), "{text}");
        assert!(text.contains("| requests a second (saturated) | 10.0 | – | 5.0 | – | 0.500 [0.500–0.500] | – | – |"), "{text}");
    }
}
