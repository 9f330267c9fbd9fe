//! What an input takes: bytes of the heap, counted in the allocator (`heap::measured`), and CPU time. In: a target and an input; effect: an abort
//! when the target takes more than it may, or keeps something. libFuzzer's own limits of allocations need a sanitizer, which is not here.
use perfmon_user::clock::thread_cpu_ns;
use perfmon_user::heap::measured::HeapMeter;

/// CPU time that an input may take, and more for each byte: far from what a target needs, and far below the square of the longest input.
const CPU_NS: u64 = 100_000_000;
const CPU_NS_A_BYTE: u64 = 5_000;
/// A target that breaks a limit may repeat it: what is made once in a process is there then, and a busy machine is no finding.
const TRIES: usize = 3;

/// Runs a target on an input. It may hold `most_bytes` of the heap at once and keep `kept_bytes` of them.
pub fn run(target: fn(&[u8]), data: &[u8], [most_bytes, kept_bytes]: [usize; 2]) {
    let may_take_ns = CPU_NS + CPU_NS_A_BYTE * data.len() as u64;
    let mut broken = String::new();
    for _try in 0..TRIES {
        let meter = HeapMeter::start();
        let begin_ns = thread_cpu_ns();
        target(data);
        let took_ns = thread_cpu_ns() - begin_ns;
        let (most, kept) = (meter.take_most(), meter.held());
        broken.clear();
        if most > most_bytes {
            broken = format!("{most} bytes of the heap at once, of {most_bytes}");
        } else if kept > kept_bytes {
            broken = format!("{kept} bytes are kept");
        } else if took_ns > may_take_ns {
            broken = format!("{took_ns} ns for {} bytes, of {may_take_ns}", data.len());
        }
        if broken.is_empty() {
            return;
        }
    }
    panic!("{broken}, {TRIES} times");
}
