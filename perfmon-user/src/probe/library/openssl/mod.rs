//! Bytes of a shared OpenSSL (1.1, 3, or a library with its interface) → where to probe it. `SSL_read` and `SSL_read_ex` both begin by
//! calling one internal function; when that begins with `push`, an instruction that the kernel emulates, a probe there costs a fifth of
//! one at the exported functions, which begin with `sub`. It is taken only when both exported functions agree on it; otherwise, and on
//! other architectures, the exported functions are probed. 64-bit files only: a probe placed with wrong assumptions kills its process.
use object::{Architecture, Object, ObjectSegment, ObjectSymbol};

#[cfg(test)]
#[path = "openssl/tests.rs"]
mod tests;

/// A kernel program and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Program for the entry of the function there; `tls_done` takes its return.
    pub program: &'static str,
    /// Offset in the file, bytes.
    pub offset: u64,
}

/// Why a file cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPoints {
    /// Not an ELF file of this machine.
    #[error("it is no 64-bit library of this machine's kind")]
    Foreign,
    /// The functions are not there.
    #[error("it exports no SSL_read and SSL_write")]
    NoFunctions,
}

/// An exported function, its `_ex` form, and the programs for each.
const PAIRS: [[(&str, &str); 2]; 2] =
    [[("SSL_read", "tls_read"), ("SSL_read_ex", "tls_read_ex")], [("SSL_write", "tls_write"), ("SSL_write_ex", "tls_write_ex")]];
/// Instructions of an exported function that are looked at for its first call.
#[cfg(target_arch = "x86_64")]
const PROLOGUE: usize = 24;

/// Where to probe.
///
/// # Errors
/// [`NoPoints`].
pub fn points(file: &[u8]) -> Result<Vec<Point>, NoPoints> {
    let elf = object::File::parse(file).map_err(|_| NoPoints::Foreign)?;
    let own = if cfg!(target_arch = "x86_64") { Architecture::X86_64 } else { Architecture::Aarch64 };
    if !elf.is_64() || elf.architecture() != own {
        return Err(NoPoints::Foreign);
    }
    let mut points = Vec::new();
    for [plain, ex] in PAIRS {
        let addresses = [plain, ex].map(|(name, _)| address(&elf, name));
        let found: Vec<Point> = match addresses {
            [Some(plain_at), Some(ex_at)] if let Some(inner) = shared(&elf, plain_at, ex_at) => at(&elf, ex.1, inner).into_iter().collect(),
            _ => [plain, ex].iter().zip(addresses).filter_map(|((_, program), address)| at(&elf, program, address?)).collect(),
        };
        if found.is_empty() {
            return Err(NoPoints::NoFunctions);
        }
        points.extend(found);
    }
    Ok(points)
}

fn address(elf: &object::File<'_>, name: &str) -> Option<u64> {
    let symbol = elf.dynamic_symbols().find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))?;
    Some(symbol.address())
}

/// The file offset of an address in the code.
fn at(elf: &object::File<'_>, program: &'static str, address: u64) -> Option<Point> {
    let segment = elf.segments().find(|segment| address >= segment.address() && address - segment.address() < segment.file_range().1)?;
    Some(Point { program, offset: segment.file_range().0 + (address - segment.address()) })
}

/// The internal function that both exported ones call first, where its first `push` is.
#[cfg(target_arch = "x86_64")]
fn shared(elf: &object::File<'_>, plain: u64, ex: u64) -> Option<u64> {
    let inner = first_call(elf, plain)?;
    if first_call(elf, ex)? != inner {
        return None;
    }
    // Before the first push the arguments and the return address are where they were at the entry, also behind an endbr64.
    let first = code(elf, inner)?.find(|instruction| instruction.mnemonic() != iced_x86::Mnemonic::Endbr64)?;
    (first.mnemonic() == iced_x86::Mnemonic::Push).then(|| first.ip())
}

#[cfg(not(target_arch = "x86_64"))]
fn shared(_elf: &object::File<'_>, _plain: u64, _ex: u64) -> Option<u64> {
    None
}

/// Target of the first call of the function, when nothing returns before it.
#[cfg(target_arch = "x86_64")]
fn first_call(elf: &object::File<'_>, function: u64) -> Option<u64> {
    use iced_x86::FlowControl;
    let stop =
        code(elf, function)?.take(PROLOGUE).find(|i| !matches!(i.flow_control(), FlowControl::Next | FlowControl::ConditionalBranch))?;
    (stop.flow_control() == FlowControl::Call && stop.is_call_near()).then(|| stop.near_branch_target())
}

/// The instructions from `address` on.
#[cfg(target_arch = "x86_64")]
fn code<'a>(elf: &object::File<'a>, address: u64) -> Option<impl Iterator<Item = iced_x86::Instruction> + use<'a>> {
    let segment = elf.segments().find(|segment| address >= segment.address() && address - segment.address() < segment.file_range().1)?;
    let bytes = segment.data().ok()?.get(usize::try_from(address - segment.address()).ok()?..)?;
    let mut decoder = iced_x86::Decoder::with_ip(64, bytes, address, iced_x86::DecoderOptions::NONE);
    Some(std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()).filter(|instruction| !instruction.is_invalid())))
}
