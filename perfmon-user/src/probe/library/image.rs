//! Reads an ELF file. In: its bytes; out: exported functions, their code, and file offsets. Accepts 64-bit files of this machine only,
//! because a misplaced probe kills its process. A function is a symbol of function type with its code within one executable segment.
use object::elf::{FileHeader64, PF_X, PT_LOAD, STT_FUNC};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{Endianness, SymbolIndex};

use super::NoPoints;

/// A library's file.
pub struct Image<'a> {
    segments: Vec<ImageSegment<'a>>,
    functions: Vec<Function<'a>>,
}

/// An executable segment.
struct ImageSegment<'a> {
    address: u64,
    offset: u64,
    bytes: &'a [u8],
}

/// An exported function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    name: &'a [u8],
    /// Address of its first instruction.
    pub address: u64,
    /// Bytes of its code.
    pub size: u64,
}

/// ELF's number of this machine.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") { object::elf::EM_X86_64 } else { object::elf::EM_AARCH64 };
/// Plausible code size of a TLS library's function.
const FUNCTION_BYTES: std::ops::RangeInclusive<u64> = 1..=64 * 1024;

impl<'a> Image<'a> {
    /// Reads the headers and the functions whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`NoPoints::Foreign`].
    pub fn parse(file: &'a [u8], prefix: &str) -> Result<Self, NoPoints> {
        let read = || -> object::Result<Self> {
            let header = FileHeader64::<Endianness>::parse(file)?;
            let endian = header.endian()?;
            if header.e_machine(endian) != MACHINE {
                return Ok(Self { segments: Vec::new(), functions: Vec::new() });
            }
            let mut image = Self { segments: Vec::new(), functions: Vec::new() };
            for segment in header.program_headers(endian, file)? {
                if segment.p_type(endian) == PT_LOAD
                    && segment.p_flags(endian) & PF_X != 0
                    && let Ok(bytes) = segment.data(endian, file)
                {
                    image.segments.push(ImageSegment { address: segment.p_vaddr(endian), offset: segment.p_offset(endian), bytes });
                }
            }
            let symbols = header.sections(endian, file)?.symbols(endian, file, object::elf::SHT_DYNSYM)?;
            for index in 1..symbols.len() {
                let symbol = symbols.symbol(SymbolIndex(index))?;
                if symbol.st_type() != STT_FUNC || symbol.is_undefined(endian) {
                    continue;
                }
                let Ok(name) = symbols.symbol_name(endian, symbol) else { continue };
                let function = Function { name, address: symbol.st_value(endian), size: symbol.st_size(endian) };
                if name.starts_with(prefix.as_bytes()) && image.holds(&function) {
                    image.functions.push(function);
                }
            }
            Ok(image)
        };
        match read() {
            Ok(image) if !image.segments.is_empty() => Ok(image),
            _ => Err(NoPoints::Foreign),
        }
    }

    /// An exported function.
    pub fn function(&self, name: &str) -> Option<Function<'a>> {
        self.functions.iter().find(|function| function.name == name.as_bytes()).copied()
    }

    /// The exported function that begins at `address`.
    pub fn function_at(&self, address: u64) -> Option<Function<'a>> {
        self.functions.iter().find(|function| function.address == address).copied()
    }

    /// Code from `address` to the end of its executable segment.
    pub fn code(&self, address: u64) -> Option<&'a [u8]> {
        let (segment, start) = self.place(address)?;
        segment.bytes.get(start..)
    }

    /// File offset of the code at `address`.
    pub fn offset(&self, address: u64) -> Option<u64> {
        let (segment, start) = self.place(address)?;
        segment.offset.checked_add(start as u64)
    }

    fn place(&self, address: u64) -> Option<(&ImageSegment<'a>, usize)> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            (start < segment.bytes.len()).then_some((segment, start))
        })
    }

    fn holds(&self, function: &Function<'_>) -> bool {
        FUNCTION_BYTES.contains(&function.size) && self.code(function.address).is_some_and(|code| code.len() as u64 >= function.size)
    }
}
