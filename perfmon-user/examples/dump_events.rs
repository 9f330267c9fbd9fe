//! Prints the kernel's events as they come: `dump_events [--tier auto|1|3] [--pid N]… [--full] [--seconds N]`. For looking at what the
//! kernel side sees; ends with losses and costs.
use std::time::Duration;

use perfmon_common::map::MODE_FULL;
use perfmon_user::clock::boot_now_ns;
use perfmon_user::decode::{Data, Event, decode};
use perfmon_user::probe::{self, Probes, StartOptions};

struct Arguments {
    options: StartOptions,
    pids: Vec<u32>,
    full: bool,
    quiet: bool,
    seconds: u64,
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut parsed = Arguments { options: StartOptions::default(), pids: Vec::new(), full: false, quiet: false, seconds: u64::MAX };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| anyhow::anyhow!("{argument} needs a value"));
        match argument.as_str() {
            "--tier" => parsed.options.tier = value()?.parse().map_err(anyhow::Error::msg)?,
            "--pid" => parsed.pids.push(value()?.parse()?),
            "--seconds" => parsed.seconds = value()?.parse()?,
            "--request-budget" => parsed.options.request_budget = value()?.parse()?,
            "--response-budget" => parsed.options.response_budget = value()?.parse()?,
            "--operation-head" => parsed.options.operation_head = value()?.parse()?,
            "--watch-new" => (parsed.options.watch_new, parsed.options.watch_all) = (true, false),
            "--full" => parsed.full = true,
            "--quiet" => parsed.quiet = true,
            other => anyhow::bail!("unknown argument {other}"),
        }
    }
    if !parsed.pids.is_empty() {
        parsed.options.watch_all = false;
    }
    Ok(parsed)
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let arguments = arguments()?;
    let begin = boot_now_ns();
    let probes = probe::start(&arguments.options)?;
    for pid in &arguments.pids {
        probes.watch(*pid)?;
    }
    eprintln!(
        "tier {} loaded in {} ms, maps {} KiB",
        probes.tier().number(),
        (boot_now_ns() - begin) / 1_000_000,
        probes.map_bytes() / 1024
    );
    for report in probes.reports() {
        eprintln!("{} {} {}", report.state.name(), report.name, report.reason.as_deref().unwrap_or_default());
    }
    eprintln!("verified instructions {:?}", probes.verified_instructions());
    let mut ring = probes.take_ring().ok_or_else(|| anyhow::anyhow!("the ring is taken"))?;
    let stop = signal_hook::flag::register;
    let stopped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [2, 15] {
        stop(signal, stopped.clone())?;
    }
    let end = begin.saturating_add(arguments.seconds.saturating_mul(1_000_000_000));
    let mut count = 0;
    while boot_now_ns() < end && !stopped.load(std::sync::atomic::Ordering::Relaxed) {
        count += ring.drain(|bytes| show(bytes, begin, &arguments, &probes));
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("events {count}, losses {:?}, by process {:?}", probes.losses(), probes.lost_by_pid());
    for cost in probes.kernel_stats().iter().filter(|cost| cost.runs > 0) {
        eprintln!("{} {} runs, {} ns each", cost.program, cost.runs, cost.run_ns / cost.runs);
    }
    Ok(())
}

fn show(bytes: &[u8], begin: u64, arguments: &Arguments, probes: &Probes) {
    match decode(bytes) {
        Err(error) => println!("undecodable: {error}"),
        Ok(Event::Open(open)) => {
            if arguments.full && probes.set_mode(open.key.sock, open.key.inode, MODE_FULL).is_err() {
                println!("the mode was refused");
            }
            if !arguments.quiet {
                println!("{open:?}");
            }
        }
        Ok(_) if arguments.quiet => {}
        Ok(Event::Data(data)) => println!("{}", data_line(&data, begin)),
        Ok(Event::Exec(exec)) => println!(
            "Exec pid={} parent={} uid={} cgroup={} comm={} argv={}",
            exec.pid,
            exec.parent,
            exec.uid,
            exec.cgroup,
            text(exec.comm),
            text(exec.argv)
        ),
        Ok(other) => println!("{other:?}"),
    }
}

fn data_line(data: &Data<'_>, begin: u64) -> String {
    let wait = data.stamp.arrival_ns.map(|arrival| (data.stamp.time_ns - arrival) / 1000);
    format!(
        "Data {:x}/{} t={}us pid={}/{} {:?} sys={} offset={} total={} piece={}+{}{}{} wait_us={wait:?} {}",
        data.key.sock,
        data.key.inode,
        (data.stamp.time_ns.saturating_sub(begin)) / 1000,
        data.pid,
        data.stamp.thread,
        data.direction,
        data.syscall,
        data.offset,
        data.total_len,
        data.piece_offset,
        data.payload.len(),
        if data.last_piece { " last" } else { "" },
        if data.eof { " EOF" } else { "" },
        text(data.payload.get(..data.payload.len().min(60)).unwrap_or_default()),
    )
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
