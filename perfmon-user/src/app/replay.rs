//! `perfmon replay`: a recording through the same pipeline and aggregate, without privileges, as fast as it can be read.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::counters::Counters;
use crate::export::jsonl::{self, JsonlFault};
use crate::pipeline::{Out, Pipeline};
use crate::process::Inspected;
use crate::record::{Record, WallTime};
use crate::source::recording::{Frame, Reader};

use super::options::{aggregate_options, destination};
use super::run::unwritten;
use super::{CommandFailure, display, logging};

/// How long a reader that does not read is waited for at the end.
const GRACE: Duration = Duration::from_secs(5);

/// Replays a file. Records go to `--jsonl`, without it a summary to standard output.
pub fn replay(config: &Config, file: &Path) -> Result<u8, CommandFailure> {
    logging::begin(config.log, false);
    let counters = Arc::new(Counters::default());
    let mut reader = Reader::open(file).with_context(|| file.display().to_string())?;
    let writer = match &config.jsonl {
        Some(to) => {
            let writer = jsonl::JsonlWriter::start(&destination(to, config), counters.clone());
            Some(writer.with_context(|| format!("--jsonl {}", to.name()))?)
        }
        None => None,
    };
    let fault = writer.as_ref().map(jsonl::JsonlWriter::fault);
    let pipeline = Pipeline::new(counters.clone(), 0).with_raw_paths(config.records.raw_paths);
    let mut replay = Replay { pipeline, aggregate: None, out: Out::default(), writer, is_unread: false, wall_at_boot_ns: 0, now_ns: 0 };
    let damage = loop {
        match reader.next_frame() {
            Ok(Some(_)) if replay.is_unread => break None,
            Ok(Some((now_ns, frame))) => replay.frame(now_ns, frame, config),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    replay.finish(config).context("the summary cannot be written")?;
    match fault.and_then(|fault| fault.borrow().clone()).zip(config.jsonl.as_ref()) {
        Some((JsonlFault::Unwritable(why), to)) => return Err(unwritten(to, &why, &counters).into()),
        Some((JsonlFault::ReaderGone, _)) => return Ok(0),
        None => {}
    }
    match damage {
        Some(error) => {
            Err(anyhow::Error::from(error).context(format!("{}: only the part before this was replayed", file.display())).into())
        }
        None => Ok(0),
    }
}

struct Replay {
    pipeline: Pipeline,
    /// Created at the first time of the recording.
    aggregate: Option<Aggregate>,
    out: Out,
    writer: Option<jsonl::JsonlWriter>,
    /// The writer takes no more.
    is_unread: bool,
    wall_at_boot_ns: u64,
    now_ns: u64,
}

impl Replay {
    fn frame(&mut self, now_ns: u64, frame: Frame, config: &Config) {
        self.now_ns = now_ns;
        match frame {
            Frame::Clock(wall_at_boot_ns) => {
                self.wall_at_boot_ns = wall_at_boot_ns;
                self.pipeline.set_wall_at_boot(wall_at_boot_ns);
            }
            Frame::Event(bytes) => self.pipeline.push(&bytes, now_ns, &mut self.out),
            Frame::Process(origin) => self.pipeline.describe(origin),
            Frame::Ignored(pid) => self.pipeline.answer(&Inspected::Judged { pid, program: None, watched: false }, now_ns, &mut self.out),
            Frame::Tick => {
                let gauges = self.pipeline.tick(now_ns, &mut self.out);
                let now = self.wall();
                let aggregate = self.aggregate(config);
                aggregate.gauges(gauges);
                let findings = aggregate.tick(now).findings;
                self.publish(findings.into_iter().map(|finding| Record::Finding(Box::new(finding))).collect());
            }
        }
        self.out.commands.clear();
        while self.pipeline.next_question().is_some() {}
        if !self.out.records.is_empty() {
            let mut records = std::mem::take(&mut self.out.records);
            let aggregate = self.aggregate(config);
            for record in &mut records {
                aggregate.add(record);
            }
            self.publish(records);
        }
    }

    fn wall(&self) -> WallTime {
        WallTime(self.wall_at_boot_ns + self.now_ns)
    }

    fn aggregate(&mut self, config: &Config) -> &mut Aggregate {
        let now = self.wall();
        self.aggregate.get_or_insert_with(|| {
            let mut options = aggregate_options(config);
            options.now = now;
            Aggregate::new(options)
        })
    }

    fn publish(&mut self, records: Vec<Record>) {
        if let Some(writer) = &self.writer
            && !records.is_empty()
            && !writer.push(&Arc::new(records))
        {
            self.is_unread = true;
        }
    }

    fn finish(mut self, config: &Config) -> std::io::Result<()> {
        self.pipeline.finish(self.now_ns, &mut self.out);
        let mut records = std::mem::take(&mut self.out.records);
        let now = self.wall();
        let aggregate = self.aggregate(config);
        for record in &mut records {
            aggregate.add(record);
        }
        let snapshot = aggregate.tick(now).snapshot;
        self.publish(records);
        match self.writer {
            Some(writer) => writer.finish(GRACE),
            None => display::summary(&snapshot)?,
        }
        Ok(())
    }
}
