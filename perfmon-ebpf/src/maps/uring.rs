//! Maps of io_uring's requests.
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;

/// Requests of a thread that are remembered; a power of two. A request is carried out when it is submitted, or woken later.
pub const REQUESTS: u32 = 8;

/// Thread id → the requests that it submitted last. Written by `uring_submit`, removed by age.
#[map]
pub static SUBMITTED: LruHashMap<u32, Submitted> = LruHashMap::with_max_entries(512, 0);

/// Socket and direction → the request that was woken last. Written by `uring_wake` right before the request is carried out, removed by age.
#[map]
pub static ARMED: LruHashMap<Armed, u64> = LruHashMap::with_max_entries(1_024, 0);

/// Requests of a thread, a ring.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Submitted {
    /// Addresses of `struct io_kiocb`.
    pub requests: [u64; REQUESTS as usize],
    /// Where the next one goes.
    pub next: u32,
    pub pad: u32,
}

/// Key of `ARMED`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Armed {
    pub sock: u64,
    pub direction: u64,
}
