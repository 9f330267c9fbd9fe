//! The worker: a process (in tests a thread) that reads one file after another for [`super::ForeignReader`]. It may hang in a read for as
//! long as the observed process likes: a page of its arguments can stand in a file system that never answers, and such a wait does
//! not even end by SIGKILL. A process of its own does not keep perfmon from ending.
use std::ffi::OsString;
use std::io::{BufReader, Read, Write};

use super::open;
use super::request::{ReadRequest, write_answer};
use crate::privilege;

/// First argument of perfmon's worker process.
pub const WORKER: &str = "read-files-of-processes";

/// The worker's side; call it first thing in `main` with the arguments behind the program's name. `None`: this process is no worker.
pub fn worker(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    if arguments.next()? != WORKER {
        return None;
    }
    // What is refused is perfmon's to report; this process says nothing.
    privilege::confine_file_reader();
    serve(std::io::stdin().lock(), std::io::stdout().lock());
    Some(0)
}

/// Answers requests until the other side is gone.
pub(super) fn serve(input: impl Read, mut output: impl Write) {
    let mut input = BufReader::new(input);
    while let Some(request) = ReadRequest::read(&mut input) {
        if write_answer(&open::read(&request), &mut output).is_err() {
            return;
        }
    }
}
