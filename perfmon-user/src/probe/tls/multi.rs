//! One link for many probes of a file (`BPF_TRACE_UPROBE_MULTI`, Linux 6.6): attaching and closing cost one kernel operation, not one for each
//! probe. In: the kernel object with its maps in the kernel, later an open file with offsets; out: programs and links. aya knows neither the
//! attach type nor the link, so both system calls are made here. Sources: bpf(2), include/uapi/linux/bpf.h, kernel/trace/bpf_trace.c.
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya::Ebpf;
use aya::maps::Map;
use aya_obj::generated::bpf_insn;
use aya_obj::obj::Object;

use super::super::load::object;
use super::super::support;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;
const LOG_BYTES: usize = 1 << 20;
/// `r0 = 0; exit`.
const EMPTY: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// Why a program was not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum MultiError {
    #[error("the kernel object cannot be read")]
    Object(#[from] aya_obj::ParseError),
    #[error("the kernel object does not fit its maps")]
    Relocation(#[from] aya_obj::relocation::EbpfRelocationError),
    #[error("the kernel object has no program {0}")]
    Absent(&'static str),
    #[error("the kernel's verifier refused {program} ({error}): {verdict}")]
    Refused { program: &'static str, error: io::Error, verdict: String },
}

/// A file with probe points of one program.
pub(super) struct MultiPoints<'a> {
    /// Leads to the file.
    pub file: &'a Path,
    /// Offset in the file and cookie of each.
    pub points: &'a [(u64, u64)],
    /// The process; `None` for all.
    pub pid: Option<u32>,
    /// The program runs when the functions there return.
    pub returns: bool,
}

/// Whether the kernel has such links, and restricts one to a process as promised (6.6 to 6.9 took a process for a thread).
pub(super) fn is_supported() -> bool {
    let Ok(program) = load("probe_test", c"GPL", EMPTY.as_flattened(), &mut []) else { return false };
    let attach = |path: &str, pid| link(program.as_fd(), path.as_ref(), &[0], &[0], pid, 0).err().and_then(|error| error.raw_os_error());
    // A folder is no file to probe; -1 is no process. Without such links the former is refused as an unknown attach type.
    attach("/", 0) == Some(libc::EBADF) && attach("/proc/self/exe", u32::MAX) == Some(libc::EINVAL)
}

/// Loads programs of the object for such links. The maps in the kernel are those of `ebpf`.
///
/// # Errors
/// [`MultiError`].
pub(super) fn programs(ebpf: &Ebpf, names: &[&'static str]) -> Result<Vec<(&'static str, OwnedFd)>, MultiError> {
    let mut object = Object::parse(&object(support::Object::Typed))?;
    let maps = std::mem::take(&mut object.maps);
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let created = maps.iter().filter_map(|(name, map)| Some((name.as_str(), descriptor(ebpf.map(name)?)?, map)));
    object.relocate_maps(created, &sections)?;
    object.relocate_calls(&sections)?;
    let load_one = |name: &'static str| {
        let program = object.programs.get(name).ok_or(MultiError::Absent(name))?;
        let code = object.functions.get(&program.function_key()).ok_or(MultiError::Absent(name))?;
        let code = bytes(&code.instructions);
        let loaded = load(name, &program.license, code, &mut []).or_else(|_| {
            // Only the second attempt asks for the verifier's words.
            let mut log = vec![0; LOG_BYTES];
            load(name, &program.license, code, &mut log).map_err(|error| MultiError::Refused {
                program: name,
                error,
                verdict: verdict(&log),
            })
        });
        Ok((name, loaded?))
    };
    names.iter().copied().map(load_one).collect()
}

/// Attaches a program to all points at once.
///
/// # Errors
/// The kernel's.
pub(super) fn attach(program: BorrowedFd<'_>, at: &MultiPoints<'_>) -> io::Result<OwnedFd> {
    let (offsets, cookies): (Vec<u64>, Vec<u64>) = at.points.iter().copied().unzip();
    link(program, at.file, &offsets, &cookies, at.pid.unwrap_or(0), if at.returns { BPF_F_UPROBE_MULTI_RETURN } else { 0 })
}

fn descriptor(map: &Map) -> Option<i32> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::ProgramArray(data)
    | Map::RingBuf(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd().as_raw_fd())
}

fn verdict(log: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(log).map(CStr::to_string_lossy).unwrap_or_default();
    super::super::attach::verdict(&text).to_owned()
}

/// The part of `union bpf_attr` for `BPF_PROG_LOAD`, up to the attach type.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}
const _: () = assert!(size_of::<ProgLoad>() == 72);

/// The part for `BPF_LINK_CREATE` of this kind.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    cnt: u32,
    multi_flags: u32,
    pid: u32,
    pad: u32,
}
const _: () = assert!(size_of::<LinkCreate>() == 64);

fn bytes(instructions: &[bpf_insn]) -> &[u8] {
    // SAFETY: `struct bpf_insn` is eight bytes without padding.
    #[expect(unsafe_code, reason = "the kernel takes instructions as bytes, aya-obj gives them as structures")]
    unsafe {
        std::slice::from_raw_parts(instructions.as_ptr().cast(), size_of_val(instructions))
    }
}

fn load(name: &str, license: &CStr, code: &[u8], log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attributes = ProgLoad {
        prog_type: BPF_PROG_TYPE_KPROBE,
        insn_cnt: (code.len() / size_of::<bpf_insn>()) as u32,
        insns: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        expected_attach_type: BPF_TRACE_UPROBE_MULTI,
        ..ProgLoad::default()
    };
    // The last byte stays 0.
    attributes.prog_name.iter_mut().take(15).zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    bpf(BPF_PROG_LOAD, &mut attributes)
}

fn link(program: BorrowedFd<'_>, file: &Path, offsets: &[u64], cookies: &[u64], pid: u32, multi_flags: u32) -> io::Result<OwnedFd> {
    let path = CString::new(file.as_os_str().as_bytes())?;
    let mut attributes = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        cookies: cookies.as_ptr() as u64,
        cnt: offsets.len().min(cookies.len()) as u32,
        multi_flags,
        pid,
        ..LinkCreate::default()
    };
    bpf(BPF_LINK_CREATE, &mut attributes)
}

/// bpf(2) with a command that makes a descriptor.
#[expect(unsafe_code, reason = "aya has no call for these attributes")]
fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as large as told, and valid for the call, as is what their pointers lead to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    let descriptor = i32::try_from(result).ok().filter(|descriptor| *descriptor >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
