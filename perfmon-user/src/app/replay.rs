//! `perfmon replay`: a recording through the same pipeline and aggregate, without privileges, as fast as it can be read.
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::counters::Counters;
use crate::export::jsonl;
use crate::pipeline::{Out, Pipeline};
use crate::process::Inspected;
use crate::record::{Record, WallTime};
use crate::source::recording::{Frame, Reader};

use super::run::{aggregate_options, destination};
use super::{CommandFailure, display, logging};

/// Replays a file. Records go to `--jsonl`, without it a summary to standard output.
pub fn replay(config: &Config, file: &Path) -> Result<u8, CommandFailure> {
    logging::begin(config.log, false);
    let counters = Arc::new(Counters::default());
    let mut reader = Reader::open(file).with_context(|| file.display().to_string())?;
    let writer = match &config.jsonl {
        Some(to) => Some(jsonl::JsonlWriter::start(&destination(to), counters.clone()).context("--jsonl")?),
        None => None,
    };
    let mut replay =
        Replay { pipeline: Pipeline::new(counters, 0), aggregate: None, out: Out::default(), writer, wall_at_boot_ns: 0, now_ns: 0 };
    let damage = loop {
        match reader.next_frame() {
            Ok(Some((now_ns, frame))) => replay.frame(now_ns, frame, config),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    replay.finish(config).context("the summary")?;
    match damage {
        Some(error) => Err(anyhow::Error::from(error).context(format!("{}: what stands before that was replayed", file.display())).into()),
        None => Ok(0),
    }
}

struct Replay {
    pipeline: Pipeline,
    /// Created at the first time of the recording.
    aggregate: Option<Aggregate>,
    out: Out,
    writer: Option<jsonl::JsonlWriter>,
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

    fn publish(&self, records: Vec<Record>) {
        if let Some(writer) = &self.writer
            && !records.is_empty()
        {
            writer.push(&Arc::new(records));
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
            Some(writer) => writer.finish(),
            None => display::summary(&snapshot)?,
        }
        Ok(())
    }
}
