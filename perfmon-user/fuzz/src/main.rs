//! Fuzzing of everything that reads what others wrote. In: bytes from libFuzzer, and the name of a target in `PERFMON_FUZZ_TARGET`; out:
//! nothing, or an abort at the first panic or broken promise. Each target says what its bytes mean; what each may take is in `meter`.
#![no_main]
mod connection;
mod meter;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::Target;

/// What is fuzzed in this run.
static TARGET: OnceLock<&Target> = OnceLock::new();

/// The target that the environment names. Without one nothing can be done.
fn chosen() -> &'static Target {
    let name = std::env::var("PERFMON_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = targets::ALL.iter().find(|(known, ..)| *known == name) else {
        let known: Vec<_> = targets::ALL.iter().map(|(name, ..)| *name).collect();
        eprintln!("PERFMON_FUZZ_TARGET is {name:?}; it must be one of {}", known.join(", "));
        std::process::exit(2);
    };
    target
}

fuzz_target!(|data: &[u8]| {
    let (_, limits, target) = TARGET.get_or_init(chosen);
    meter::run(*target, data, *limits);
});
