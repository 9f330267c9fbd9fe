//! Which language runtime executes a process: by the executable's name, else by its mapped libraries, else by sections of its ELF
//! file (elf(5); Go writes `.go.buildinfo`, also into stripped programs). A guess is never made: what nothing shows is `native`.
use std::path::PathBuf;

use super::name::Family;

/// Libraries that are a runtime inside of another program; their file names begin so.
const LIBRARIES: [(&str, &str); 7] = [
    ("libjvm.so", "jvm"),
    ("libnode.so", "node"),
    ("libcoreclr.so", "dotnet"),
    ("libpython", "python"),
    ("libruby", "ruby"),
    ("libphp", "php"),
    ("libdeno", "deno"),
];

/// Sections that only one kind of program has.
const SECTIONS: [(&[u8], &str); 3] = [(b".go.buildinfo", "go"), (b".bun", "bun"), (b".note.go.buildid", "go")];

/// Sections that are looked at; a program has about 40.
const SECTION_COUNT: usize = 512;

/// `python` `node` `go` `jvm` `ruby` `php` `dotnet` `deno` `bun` `native`. `read` gives bytes of the executable from
/// an offset on, fewer at its end.
pub(super) fn detect(family: Family, mapped: &[PathBuf], read: &dyn Fn(u64, u64) -> Option<Vec<u8>>) -> &'static str {
    match family {
        Family::Python => "python",
        Family::Node => "node",
        Family::Deno => "deno",
        Family::Bun => "bun",
        Family::Java => "jvm",
        Family::Ruby => "ruby",
        Family::Php => "php",
        Family::Dotnet => "dotnet",
        Family::Script | Family::Native => {
            let names = || mapped.iter().filter_map(|path| path.file_name()?.to_str());
            let library = LIBRARIES.iter().find(|(prefix, _)| names().any(|name| name.starts_with(prefix)));
            library.map(|(_, runtime)| *runtime).or_else(|| by_section(read)).unwrap_or("native")
        }
    }
}

fn by_section(read: &dyn Fn(u64, u64) -> Option<Vec<u8>>) -> Option<&'static str> {
    let names = section_names(read)?;
    let has = |wanted: &[u8]| names.split(|byte| *byte == 0).any(|name| name == wanted);
    SECTIONS.iter().find(|(section, _)| has(section)).map(|(_, runtime)| *runtime)
}

/// The string table with the names of the sections of a 64-bit ELF file of this machine's byte order.
fn section_names(read: &dyn Fn(u64, u64) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let whole = |offset: u64, length: usize| read(offset, length as u64).filter(|bytes| bytes.len() == length);
    let header = whole(0, 64)?;
    if !header.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let offset = u64_at(&header, 0x28)?;
    let (size, count, names) = (u16_at(&header, 0x3a)?, u16_at(&header, 0x3c)?, u16_at(&header, 0x3e)?);
    if size < 64 || usize::from(count) > SECTION_COUNT || names >= count {
        return None;
    }
    let section = whole(offset.checked_add(u64::from(names) * u64::from(size))?, 64)?;
    let length = usize::try_from(u64_at(&section, 0x20)?).ok().filter(|length| *length <= 64 * 1024)?;
    whole(u64_at(&section, 0x18)?, length)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit ELF file with nothing but a table of section names.
    fn elf(names: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 128 + names.len()];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x28..0x30].copy_from_slice(&64_u64.to_ne_bytes());
        bytes[0x3a..0x3c].copy_from_slice(&64_u16.to_ne_bytes());
        bytes[0x3c..0x3e].copy_from_slice(&1_u16.to_ne_bytes());
        bytes[64 + 0x18..64 + 0x20].copy_from_slice(&128_u64.to_ne_bytes());
        bytes[64 + 0x20..64 + 0x28].copy_from_slice(&(names.len() as u64).to_ne_bytes());
        bytes[128..].copy_from_slice(names);
        bytes
    }

    fn read(bytes: &[u8], offset: u64, length: u64) -> Option<Vec<u8>> {
        let start = (offset as usize).min(bytes.len());
        Some(bytes[start..(start + length as usize).min(bytes.len())].to_vec())
    }

    fn detect_bytes(bytes: &[u8]) -> &'static str {
        detect(Family::Native, &[], &|offset, length| read(bytes, offset, length))
    }

    #[test]
    fn go_by_its_section_also_when_cut_or_broken() {
        let go = elf(b"\0.text\0.go.buildinfo\0.shstrtab\0");
        assert_eq!(detect_bytes(&go), "go");
        assert_eq!(detect_bytes(&elf(b"\0.text\0.go.buildinfo.not\0")), "native");
        for length in 0..go.len() {
            assert_eq!(detect_bytes(&go[..length]), "native");
        }
    }

    #[test]
    fn real_files() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let nothing = |_, _| None;
        assert_eq!(detect_bytes(&own), "native");
        let names = section_names(&|offset, length| read(&own, offset, length)).unwrap();
        assert!(names.windows(6).any(|name| name == b".text\0"));
        assert_eq!(detect(Family::Native, &["/usr/lib/libpython3.11.so.1.0".into()], &nothing), "python");
        assert_eq!(detect(Family::Java, &[], &nothing), "jvm");
    }
}
