//! Judges one stage. In: its heartbeat and what its thread does, once a round; out: well, stalled, hung or dead. Time is counted in rounds of
//! the supervisor, so that a time in which nothing ran (SIGSTOP, a paused machine) counts for nobody. A thread that waits for a CPU
//! ages by the CPU time that it got, so that a loaded host makes no stage look hung.
use crate::heartbeat::{Heartbeat, StageLife};

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadMode {
    /// Runs, or waits for a CPU.
    Runs,
    /// Waits for an event.
    Sleeps,
    /// Waits inside the kernel and cannot be interrupted: for a disk, for a lock.
    InKernel,
    /// Was stopped from outside, as by a debugger.
    Stopped,
}

/// A thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// What it does.
    pub mode: ThreadMode,
    /// CPU time so far.
    pub cpu_ms: u64,
}

/// Where states of threads come from.
pub trait StageThreads {
    /// Of one thread; `None` when it is gone.
    fn state(&mut self, thread: i32) -> Option<ThreadState>;
    /// Of those that run the tasks, together.
    fn runtime(&mut self) -> ThreadState;
}

/// How a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageVerdict {
    /// It beats.
    Well,
    /// It has not beaten for these milliseconds.
    Stalled(u32),
    /// So long that nothing more is expected of it.
    Hung(u32),
    /// It panicked.
    Panicked,
    /// It ended by itself.
    Ended,
    /// Its thread is gone.
    Vanished,
}

impl StageVerdict {
    /// In words after the stage's name; `None` when it is well.
    pub fn words(self) -> Option<String> {
        Some(match self {
            Self::Well => return None,
            Self::Stalled(ms) => format!("shows no sign of life for {:.1} s", f64::from(ms) / 1e3),
            Self::Hung(ms) => format!("hangs: no sign of life for {:.1} s", f64::from(ms) / 1e3),
            Self::Panicked => "panicked".into(),
            Self::Ended => "ended by itself".into(),
            Self::Vanished => "is dead: its thread is gone".into(),
        })
    }

    /// perfmon cannot go on.
    pub fn is_fatal(self) -> bool {
        !matches!(self, Self::Well | Self::Stalled(_))
    }
}

/// A stage as it was seen so far.
#[derive(Debug)]
pub struct StageWatch {
    heartbeat: Heartbeat,
    count: u64,
    /// Since the last beat.
    idle_ms: u32,
    /// Of that, not spent inside the kernel.
    hung_ms: u32,
    /// CPU time when it was last looked at, while it does not beat.
    cpu_ms: Option<u64>,
}

impl StageWatch {
    /// Not looked at yet.
    pub fn new(heartbeat: Heartbeat) -> Self {
        let count = heartbeat.count();
        Self { heartbeat, count, idle_ms: 0, hung_ms: 0, cpu_ms: None }
    }

    /// The stage.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Milliseconds since its last beat, as far as they count.
    pub fn idle_ms(&self) -> u32 {
        self.idle_ms
    }

    /// A round of `step_ms` has passed.
    pub fn look(&mut self, step_ms: u32, threads: &mut impl StageThreads) -> StageVerdict {
        let patience = self.heartbeat.patience();
        match self.heartbeat.life() {
            StageLife::Waits => return StageVerdict::Well,
            StageLife::Runs => {}
            StageLife::Panicked => return StageVerdict::Panicked,
            // One that does not beat may have nothing more to do.
            StageLife::Ended if patience.beats => return StageVerdict::Ended,
            StageLife::Ended => return StageVerdict::Well,
        }
        let (count, beats) = (self.heartbeat.count(), self.heartbeat.is_paced());
        let is_late = count == self.count;
        self.count = count;
        if beats && !is_late {
            (self.idle_ms, self.hung_ms, self.cpu_ms) = (0, 0, None);
            return StageVerdict::Well;
        }
        // A stage beats every other round at least; what its thread does matters from the second one on.
        if beats && self.idle_ms == 0 {
            (self.idle_ms, self.hung_ms) = (step_ms, step_ms);
            return StageVerdict::Well;
        }
        let state = match self.heartbeat.thread() {
            Some(thread) => match threads.state(thread) {
                Some(state) => state,
                None if self.heartbeat.life() == StageLife::Runs => return StageVerdict::Vanished,
                None => return StageVerdict::Well,
            },
            None => threads.runtime(),
        };
        self.age(step_ms, state, beats);
        match self.idle_ms {
            _ if self.hung_ms >= patience.hung_ms => StageVerdict::Hung(self.idle_ms),
            idle if idle >= patience.stalled_ms => StageVerdict::Stalled(idle),
            _ => StageVerdict::Well,
        }
    }

    fn age(&mut self, step_ms: u32, state: ThreadState, beats: bool) {
        let got_ms = self.cpu_ms.replace(state.cpu_ms).map_or(0, |before| state.cpu_ms.saturating_sub(before));
        let (idle_ms, hung_ms) = match state.mode {
            _ if !beats && state.mode != ThreadMode::Stopped => {
                (self.idle_ms, self.hung_ms) = (0, 0);
                return;
            }
            ThreadMode::Runs => (got_ms.min(step_ms.into()) as u32, got_ms.min(step_ms.into()) as u32),
            ThreadMode::InKernel => (step_ms, 0),
            ThreadMode::Sleeps | ThreadMode::Stopped => (step_ms, step_ms),
        };
        self.idle_ms = self.idle_ms.saturating_add(idle_ms);
        self.hung_ms = self.hung_ms.saturating_add(hung_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::{Heartbeats, Patience, StageRun};

    struct Scripted(Option<ThreadState>);

    impl StageThreads for Scripted {
        fn state(&mut self, _: i32) -> Option<ThreadState> {
            self.0
        }
        fn runtime(&mut self) -> ThreadState {
            self.0.unwrap()
        }
    }

    fn stage(patience: Patience) -> (StageWatch, StageRun) {
        let heartbeat = Heartbeats::default().add("stage", patience);
        let run = heartbeat.run_here();
        (StageWatch::new(heartbeat), run)
    }

    /// Verdicts of rounds of 250 ms in which the thread is in this mode and gets so much CPU time a round; as changes, with the round.
    fn verdicts(watch: &mut StageWatch, rounds: u32, mode: ThreadMode, cpu_a_round: u64) -> Vec<(u32, &'static str)> {
        let mut told = Vec::new();
        for round in 1..=rounds {
            let state = ThreadState { mode, cpu_ms: u64::from(round) * cpu_a_round };
            let name = match watch.look(250, &mut Scripted(Some(state))) {
                StageVerdict::Well => "well",
                StageVerdict::Stalled(_) => "stalled",
                StageVerdict::Hung(_) => "hung",
                _ => "dead",
            };
            if told.last().is_none_or(|(_, last)| *last != name) {
                told.push((round, name));
            }
        }
        told
    }

    /// Threads of which the one that is looked at has ended in order since the round began.
    struct EndsMeanwhile(Heartbeats);

    impl StageThreads for EndsMeanwhile {
        fn state(&mut self, _: i32) -> Option<ThreadState> {
            self.0.remove_runtime_thread();
            None
        }
        fn runtime(&mut self) -> ThreadState {
            unreachable!("it has a thread")
        }
    }

    #[test]
    fn a_thread_of_the_runtime_that_ends_while_it_is_looked_at_is_not_dead() {
        let stages = Heartbeats::default();
        stages.add_runtime_thread("runtime");
        let mut watch = StageWatch::new(stages.all().remove(0));
        assert_eq!(watch.look(250, &mut Scripted(None)), StageVerdict::Vanished, "it has not said that it ends");
        assert_eq!(watch.look(250, &mut EndsMeanwhile(stages.clone())), StageVerdict::Well);
        assert!(stages.all().is_empty());
    }

    #[test]
    fn a_stage_that_waits_too_long_is_stalled_after_two_seconds_and_hangs_after_five() {
        let (mut watch, _run) = stage(Patience::STEADY);
        assert_eq!(verdicts(&mut watch, 40, ThreadMode::Sleeps, 0), [(1, "well"), (8, "stalled"), (20, "hung")]);
        watch.heartbeat().clone().beat();
        assert_eq!(verdicts(&mut watch, 9, ThreadMode::Stopped, 0), [(1, "well"), (9, "stalled")]);
    }

    #[test]
    fn a_loop_without_end_hangs_and_a_thread_without_a_cpu_does_not() {
        let (mut spins, _run) = stage(Patience::STEADY);
        assert_eq!(verdicts(&mut spins, 40, ThreadMode::Runs, 250), [(1, "well"), (9, "stalled"), (21, "hung")]);
        let (mut starves, _run) = stage(Patience::STEADY);
        assert_eq!(verdicts(&mut starves, 240, ThreadMode::Runs, 5), [(1, "well")], "a minute with a fiftieth of a CPU");
    }

    #[test]
    fn a_slow_disk_degrades_and_does_not_end() {
        let (mut watch, _run) = stage(Patience::OUTSIDE);
        assert_eq!(verdicts(&mut watch, 400, ThreadMode::InKernel, 0), [(1, "well"), (8, "stalled")]);
        let (mut asleep, _run) = stage(Patience::OUTSIDE);
        assert_eq!(verdicts(&mut asleep, 400, ThreadMode::Sleeps, 0), [(1, "well"), (8, "stalled"), (60, "hung")]);
    }

    #[test]
    fn a_stage_without_beats_may_wait_but_not_be_stopped() {
        let (mut watch, run) = stage(Patience::UNPACED);
        assert_eq!(verdicts(&mut watch, 400, ThreadMode::Sleeps, 0), [(1, "well")]);
        assert_eq!(verdicts(&mut watch, 40, ThreadMode::Stopped, 0), [(1, "well"), (8, "stalled"), (20, "hung")]);
        assert_eq!(verdicts(&mut watch, 1, ThreadMode::Sleeps, 0), [(1, "well")]);
        drop(run);
        assert_eq!(verdicts(&mut watch, 1, ThreadMode::Sleeps, 0), [(1, "well")]);
    }

    #[test]
    fn a_stage_that_waits_for_a_receiver_may_wait_but_not_be_stopped_nor_die() {
        let (mut watch, _run) = stage(Patience::STEADY);
        let heartbeat = watch.heartbeat().clone();
        heartbeat.outside(|| {
            assert_eq!(verdicts(&mut watch, 400, ThreadMode::Sleeps, 0), [(1, "well")]);
            assert_eq!(verdicts(&mut watch, 10, ThreadMode::Stopped, 0), [(1, "well"), (8, "stalled")]);
            assert_eq!(watch.look(250, &mut Scripted(None)), StageVerdict::Vanished);
        });
        assert_eq!(verdicts(&mut watch, 9, ThreadMode::Sleeps, 0), [(1, "well"), (9, "stalled")], "then it has to beat again");
    }

    #[test]
    fn death_is_noticed_at_once() {
        let (mut ended, run) = stage(Patience::STEADY);
        drop(run);
        assert_eq!(ended.look(250, &mut Scripted(None)), StageVerdict::Ended);
        let (mut gone, _run) = stage(Patience::STEADY);
        assert_eq!(gone.look(250, &mut Scripted(None)), StageVerdict::Well);
        assert_eq!(gone.look(250, &mut Scripted(None)), StageVerdict::Vanished);
        assert!(StageVerdict::Vanished.is_fatal() && !StageVerdict::Stalled(2_000).is_fatal());
    }
}
