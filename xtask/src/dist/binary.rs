//! The program that is packed. In: its file. Out: version, architecture and whether it needs a C library. Specification: elf(5).
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::output;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const PT_INTERP: u32 = 3;

/// A perfmon to be packed.
pub struct PackedBinary {
    /// Its file.
    pub path: PathBuf,
    /// `0.1.0`.
    pub version: String,
    /// It contains its C library.
    pub is_static: bool,
    machine: u16,
}

impl PackedBinary {
    /// Looks into the file and asks it for its version.
    pub fn examine(path: &Path) -> Result<Self> {
        let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (machine, is_static) = elf_facts(&bytes).with_context(|| format!("{} is no 64-bit ELF program", path.display()))?;
        ensure!(
            [X86_64, AARCH64].contains(&machine),
            "{} is for a machine (number {machine}) that perfmon does not run on",
            path.display()
        );
        let said = output(Command::new(&path).arg("--version"))?;
        let Some(version) = said.trim().strip_prefix("perfmon ") else {
            bail!("{} --version says {said:?}: is it a perfmon?", path.display())
        };
        Ok(Self { version: version.to_owned(), path, is_static, machine })
    }

    /// A program that is no perfmon, for tests of packers.
    #[cfg(test)]
    pub fn stand_in(path: PathBuf) -> Self {
        Self { path, version: "0.1.0".into(), is_static: true, machine: X86_64 }
    }

    /// What it prints with these arguments.
    pub fn prints(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        output(Command::new(&self.path).args(arguments)).map(String::into_bytes)
    }

    /// `x86_64` or `aarch64`.
    pub fn architecture(&self) -> &'static str {
        if self.machine == X86_64 { "x86_64" } else { "aarch64" }
    }

    /// The same as Debian calls it.
    pub fn debian_architecture(&self) -> &'static str {
        if self.machine == X86_64 { "amd64" } else { "arm64" }
    }

    /// `perfmon-0.1.0-x86_64-linux`.
    pub fn stem(&self) -> String {
        format!("perfmon-{}-{}-linux", self.version, self.architecture())
    }
}

/// Number of the machine, and whether no dynamic linker is asked for.
fn elf_facts(bytes: &[u8]) -> Option<(u16, bool)> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // 64 bits, least significant byte first.
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let headers = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    let types = (0..count).map(|header| u32_at(headers.checked_add(header * size)?));
    let types: Vec<u32> = types.collect::<Option<_>>()?;
    Some((u16_at(18)?, !types.contains(&PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_dynamic_linker_is_known() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let (machine, is_static) = elf_facts(&own).unwrap();
        assert!([X86_64, AARCH64].contains(&machine) && !is_static);
        let mut without = own.clone();
        let headers = usize::try_from(u64::from_le_bytes(own[32..40].try_into().unwrap())).unwrap();
        let (size, count) = (usize::from(own[54]), usize::from(own[56]));
        for at in (0..count).map(|header| headers + header * size).filter(|at| own[*at] == 3 && own[at + 1..at + 4] == [0; 3]) {
            without[at] = 0;
        }
        assert_eq!(elf_facts(&without), Some((machine, true)));
        for broken in [&b""[..], b"#!/bin/sh\n", &own[..40], b"\x7fELF\x02\x01"] {
            assert_eq!(elf_facts(broken), None);
        }
    }
}
