//! Which language runtime executes a process: by the executable's name, else by its mapped libraries, else by sections of its ELF
//! file (elf(5); Go writes `.go.buildinfo`, also into stripped programs). A guess is never made: what nothing shows is `native`.
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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

/// `python` `node` `go` `jvm` `ruby` `php` `dotnet` `deno` `bun` `native`. `file` is where the executable can be read.
pub(super) fn detect(family: Family, mapped: &[PathBuf], file: &Path) -> &'static str {
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
            library.map(|(_, runtime)| *runtime).or_else(|| by_section(file)).unwrap_or("native")
        }
    }
}

fn by_section(file: &Path) -> Option<&'static str> {
    let names = section_names(&File::open(file).ok()?)?;
    let has = |wanted: &[u8]| names.split(|byte| *byte == 0).any(|name| name == wanted);
    SECTIONS.iter().find(|(section, _)| has(section)).map(|(_, runtime)| *runtime)
}

/// The string table with the names of the sections of a 64-bit ELF file of this machine's byte order.
fn section_names(file: &File) -> Option<Vec<u8>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).ok()?;
    if !header.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let offset = u64_at(&header, 0x28)?;
    let (size, count, names) = (u16_at(&header, 0x3a)?, u16_at(&header, 0x3c)?, u16_at(&header, 0x3e)?);
    if size < 64 || usize::from(count) > SECTION_COUNT || names >= count {
        return None;
    }
    let mut section = [0; 64];
    file.read_exact_at(&mut section, offset.checked_add(u64::from(names) * u64::from(size))?).ok()?;
    let length = usize::try_from(u64_at(&section, 0x20)?).ok().filter(|length| *length <= 64 * 1024)?;
    let mut strings = vec![0; length];
    file.read_exact_at(&mut strings, u64_at(&section, 0x18)?).ok()?;
    Some(strings)
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

    fn detect_bytes(bytes: &[u8]) -> &'static str {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        detect(Family::Native, &[], file.path())
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
        assert_eq!(detect(Family::Native, &[], &std::env::current_exe().unwrap()), "native");
        assert!(section_names(&File::open(std::env::current_exe().unwrap()).unwrap()).unwrap().windows(6).any(|name| name == b".text\0"));
        assert_eq!(detect(Family::Native, &["/usr/lib/libpython3.11.so.1.0".into()], Path::new("/nonexistent")), "python");
        assert_eq!(detect(Family::Java, &[], Path::new("/nonexistent")), "jvm");
    }
}
