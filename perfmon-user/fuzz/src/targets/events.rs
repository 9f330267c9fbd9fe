//! Events of the kernel and recordings of them: no panic, and every second of a recording comes to its end. A recording runs through the whole
//! front half: connections, the binder of TLS plaintext to sockets, cipher records, parsers, model calls, agent runs.
use std::sync::Arc;

use perfmon_user::counters::Counters;
use perfmon_user::pipeline::{Out, Pipeline};
use perfmon_user::process::Inspected;
use perfmon_user::source::recording::{Frame, Reader};

/// One event.
pub fn decode(data: &[u8]) {
    if let Ok(event) = perfmon_user::decode::decode(data) {
        let mut pipeline = Pipeline::new(Arc::default(), 0);
        let mut out = Out::default();
        pipeline.event(&event, event.time_ns().unwrap_or(1), &mut out);
        pipeline.finish(u64::MAX, &mut out);
    }
}

/// A file.
pub fn recording(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let counters = Arc::new(Counters::default());
    let (mut pipeline, mut out, mut last_ns) = (Pipeline::new(counters, 0), Out::default(), 0);
    while let Ok(Some((now_ns, frame))) = reader.next_frame() {
        last_ns = now_ns;
        match frame {
            Frame::Clock(wall_at_boot_ns) => pipeline.set_wall_at_boot(wall_at_boot_ns),
            Frame::Event(bytes) => pipeline.push(&bytes, now_ns, &mut out),
            Frame::Process(origin) => pipeline.describe(origin),
            Frame::Ignored(pid) => pipeline.answer(&Inspected::Judged { pid, program: None, watched: false }, now_ns, &mut out),
            Frame::Tick => drop(pipeline.tick(now_ns, &mut out)),
        }
        out.records.clear();
        out.commands.clear();
        while pipeline.next_question().is_some() {}
    }
    pipeline.finish(last_ns, &mut out);
}
