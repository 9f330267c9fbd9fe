//! One file per family of hooks. An entry function here filters and hands on; it says what it hooks, since when, and what it misses.
mod arrival;
mod bypass;
mod function_exit;
mod io_uring;
mod policy;
mod process;
mod sock_io;
mod sock_state;
mod sys_exit;
mod tls;
