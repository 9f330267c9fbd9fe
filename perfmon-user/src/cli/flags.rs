//! Turns flags into settings of their keys.
use super::args::{CaptureArgs, GeneralArgs, RunArgs, TargetArgs};
use crate::config::{ConfigNode, Flag};

/// Collects flags that were given.
#[derive(Default)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    pub fn into_vec(self) -> Vec<Flag> {
        self.0
    }

    pub fn value(&mut self, path: &'static str, name: &'static str, value: Option<&String>) {
        self.0.extend(value.map(|text| Flag { path, name, node: ConfigNode::word(text) }));
    }

    fn values(&mut self, path: &'static str, name: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.0.push(Flag { path, name, node: ConfigNode::words(values) });
        }
    }

    fn switch(&mut self, path: &'static str, name: &'static str, given: bool, value: &str) {
        if given {
            self.0.push(Flag { path, name, node: ConfigNode::word(value) });
        }
    }

    pub fn targets(&mut self, args: &TargetArgs) {
        self.values("targets.pid", "--pid", &args.pid);
        self.values("targets.exe", "--exe", &args.exe);
        self.values("targets.port", "--port", &args.port);
        self.values("targets.container", "--container", &args.container);
        self.values("targets.cgroup", "--cgroup", &args.cgroup);
        self.switch("targets.all", "--all", args.all, "true");
        self.switch("targets.follow", "--no-follow", args.no_follow, "false");
        self.switch("targets.wait", "--wait", args.wait, "true");
    }

    pub fn capture(&mut self, args: &CaptureArgs) {
        self.value("capture.tier", "--capture-tier", args.capture_tier.as_ref());
        self.value("duration", "--duration", args.duration.as_ref());
    }

    pub fn general(&mut self, args: &GeneralArgs) {
        self.value("log", "--log", args.log.as_ref());
    }

    pub fn run(&mut self, args: &RunArgs) {
        self.targets(&args.targets);
        self.capture(&args.capture);
        self.general(&args.general);
        self.value("listen", "--listen", args.listen.as_ref());
        self.value("jsonl", "--jsonl", args.jsonl.as_ref());
        self.value("jsonl_max", "--jsonl-max", args.jsonl_max.as_ref());
        self.value("db", "--db", args.db.as_ref());
        self.switch("no_store", "--no-store", args.no_store, "true");
        self.value("ui", "--ui", args.ui.as_ref());
    }
}
