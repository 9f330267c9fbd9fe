//! Heartbeats of stages. In: a beat from a stage each time it gets around its loop; out: the number of beats, the thread that the stage has,
//! and whether it runs, ended or panicked. `app/supervisor` looks at them. A beat is one store; nothing here waits or reads a clock.
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A stage that waits for something beats this often at least.
pub const BEAT: Duration = Duration::from_millis(500);

/// How long a stage may be without a beat, in milliseconds of the supervisor's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From then on it is stalled: perfmon is degraded.
    pub stalled_ms: u32,
    /// From then on it hangs: perfmon ends.
    pub hung_ms: u32,
    /// It beats. Of a stage that does not, only its death and a thread that was stopped are noticed.
    pub beats: bool,
}

impl Patience {
    /// A stage that waits for nothing outside perfmon.
    pub const STEADY: Self = Self { stalled_ms: 2_000, hung_ms: 5_000, beats: true };
    /// A stage that waits for a disk, the kernel or files of other processes.
    pub const OUTSIDE: Self = Self { stalled_ms: 2_000, hung_ms: 15_000, beats: true };
    /// Something that flows once a second from one stage to another: it may be late under overload.
    pub const FLOW: Self = Self { stalled_ms: 3_000, hung_ms: u32::MAX, beats: true };
    /// A thread that waits for programs which may take as long as they want.
    pub const UNPACED: Self = Self { stalled_ms: 2_000, hung_ms: 5_000, beats: false };
}

/// Whether a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageLife {
    /// Not begun yet.
    Waits,
    /// Under way.
    Runs,
    /// It returned, or its task was dropped.
    Ended,
    /// It panicked.
    Panicked,
}

const LIVES: [StageLife; 4] = [StageLife::Waits, StageLife::Runs, StageLife::Ended, StageLife::Panicked];

/// The heartbeat of one stage; clones are the same one.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<HeartbeatShared>);

#[derive(Debug)]
struct HeartbeatShared {
    name: &'static str,
    patience: Patience,
    beats: AtomicU64,
    /// Index into `LIVES`.
    life: AtomicU8,
    /// Thread id; 0: a task of the async runtime.
    thread: AtomicI32,
    /// See `outside`.
    is_outside: AtomicBool,
}

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Heartbeat>> = const { RefCell::new(None) };
}

/// A beat of the stage that this thread is, if it is one: for long loops far below a stage.
pub fn beat() {
    // A thread that is ending has none any more.
    OF_THIS_THREAD.try_with(|own| own.borrow().as_ref().map(Heartbeat::beat)).ok();
}

impl Heartbeat {
    /// One that no supervisor looks at.
    pub fn unwatched() -> Self {
        Self::new("unwatched", Patience::UNPACED)
    }

    fn new(name: &'static str, patience: Patience) -> Self {
        Self(Arc::new(HeartbeatShared { name, patience, beats: 0.into(), life: 0.into(), thread: 0.into(), is_outside: false.into() }))
    }

    /// Whether both are the same heartbeat.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The stage's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// How long it may be without a beat.
    pub fn patience(&self) -> Patience {
        self.0.patience
    }

    /// The stage is alive. Only the stage itself calls this.
    pub fn beat(&self) {
        self.0.beats.store(self.0.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Does something that may take as long as another program or host wants, and is no stall: a receiver answers, a reader reads.
    pub fn outside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.is_outside.store(true, Ordering::Relaxed);
        let done = work();
        self.beat();
        self.0.is_outside.store(false, Ordering::Relaxed);
        done
    }

    /// Whether its beats are awaited now.
    pub fn is_paced(&self) -> bool {
        self.0.patience.beats && !self.0.is_outside.load(Ordering::Relaxed)
    }

    /// Beats until dropped: for a task that waits.
    pub async fn beats(&self) -> std::convert::Infallible {
        loop {
            self.beat();
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Number of beats.
    pub fn count(&self) -> u64 {
        self.0.beats.load(Ordering::Relaxed)
    }

    /// Whether it runs.
    pub fn life(&self) -> StageLife {
        LIVES[usize::from(self.0.life.load(Ordering::SeqCst)) % LIVES.len()]
    }

    /// The thread of the stage; `None`: it is a task, or has not begun.
    pub fn thread(&self) -> Option<i32> {
        Some(self.0.thread.load(Ordering::Relaxed)).filter(|thread| *thread != 0)
    }

    /// The stage runs on this thread until the value is dropped.
    pub fn run_here(&self) -> StageRun {
        self.0.thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
        OF_THIS_THREAD.with(|own| *own.borrow_mut() = Some(self.clone()));
        self.run_as_task()
    }

    /// The stage runs as a task until the value is dropped.
    pub fn run_as_task(&self) -> StageRun {
        self.set_life(StageLife::Runs);
        StageRun(self.clone())
    }

    fn set_life(&self, life: StageLife) {
        self.0.life.store(life as u8, Ordering::SeqCst);
    }
}

/// A stage under way. Its end, panics included, is noted when this is dropped.
#[derive(Debug)]
pub struct StageRun(Heartbeat);

impl Drop for StageRun {
    fn drop(&mut self) {
        self.0.set_life(if std::thread::panicking() { StageLife::Panicked } else { StageLife::Ended });
    }
}

/// All heartbeats of a run; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Arc<Mutex<Vec<Heartbeat>>>);

impl Heartbeats {
    /// Adds a stage.
    pub fn add(&self, name: &'static str, patience: Patience) -> Heartbeat {
        let heartbeat = Heartbeat::new(name, patience);
        self.list().push(heartbeat.clone());
        heartbeat
    }

    /// A stage that came for a while has left in order.
    pub fn remove(&self, heartbeat: &Heartbeat) {
        self.list().retain(|one| !one.is(heartbeat));
    }

    /// All stages.
    pub fn all(&self) -> Vec<Heartbeat> {
        self.list().clone()
    }

    /// Threads of the async runtime come and go: the calling one comes.
    pub fn add_runtime_thread(&self, name: &'static str) {
        // Its end is told by `remove_runtime_thread`.
        std::mem::forget(self.add(name, Patience::UNPACED).run_here());
    }

    /// The calling thread ends. Who took the list before finds that it ended, when it finds the thread gone.
    pub fn remove_runtime_thread(&self) {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let mut list = self.list();
        list.iter().filter(|heartbeat| heartbeat.thread() == Some(own)).for_each(|heartbeat| heartbeat.set_life(StageLife::Ended));
        list.retain(|heartbeat| heartbeat.thread() != Some(own));
    }

    fn list(&self) -> MutexGuard<'_, Vec<Heartbeat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_thread_ended_is_known() {
        let stages = Heartbeats::default();
        let (well, bad) = (stages.add("well", Patience::STEADY), stages.add("bad", Patience::STEADY));
        assert_eq!((well.life(), well.thread()), (StageLife::Waits, None));
        let run = |heartbeat: Heartbeat, panics: bool| {
            std::thread::spawn(move || {
                let _run = heartbeat.run_here();
                beat();
                assert!(!panics && heartbeat.life() == StageLife::Runs);
            })
        };
        run(well.clone(), false).join().unwrap();
        run(bad.clone(), true).join().unwrap_err();
        assert_eq!((well.life(), well.count()), (StageLife::Ended, 1));
        assert_eq!((bad.life(), bad.count()), (StageLife::Panicked, 1));
        assert!(well.thread().is_some() && well.thread() != bad.thread());
        beat();
        assert_eq!(well.count(), 1, "this thread is no stage");
    }

    #[test]
    fn what_waits_for_others_is_not_awaited_until_it_is_done() {
        let stages = Heartbeats::default();
        let (stage, other) = (stages.add("export traces", Patience::STEADY), stages.add("webhook", Patience::UNPACED));
        assert!(stage.is_paced() && !other.is_paced());
        assert!(!stage.outside(|| stage.is_paced()));
        assert_eq!((stage.is_paced(), stage.count()), (true, 1), "it beats when it is done");
        stages.remove(&other);
        assert!(stages.all().len() == 1 && stages.all()[0].is(&stage));
    }

    #[tokio::test]
    async fn how_a_task_ended_is_known() {
        let stages = Heartbeats::default();
        let run = |heartbeat: Heartbeat, panics: bool| {
            tokio::spawn(async move {
                let _run = heartbeat.run_as_task();
                tokio::task::yield_now().await;
                assert!(!panics);
                std::future::pending::<()>().await;
            })
        };
        let (bad, dropped) = (stages.add("bad", Patience::STEADY), stages.add("dropped", Patience::STEADY));
        assert!(run(bad.clone(), true).await.unwrap_err().is_panic());
        assert_eq!(bad.life(), StageLife::Panicked);
        let task = run(dropped.clone(), false);
        while dropped.life() != StageLife::Runs {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(dropped.life(), StageLife::Ended);
    }
}
