//! The bill of materials. In: the crates of the program, the binary. Out: a CycloneDX document in JSON, the same for the same sources, binary
//! and commit. Made here because it is a table written as JSON; the tools for it are programs to be installed. Specification: CycloneDX 1.5.
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::shell::{command, output};

use super::binary::PackedBinary;
use super::content::source;
use super::dependencies::Dependency;
use super::hexadecimal;

const OWN_LICENCE: &str = "MIT OR Apache-2.0";
const KERNEL_OBJECTS: [&str; 2] = ["perfmon-user/ebpf/perfmon.bpf.o", "perfmon-user/ebpf/perfmon-copied.bpf.o"];

/// The document.
pub fn document(binary: &PackedBinary, dependencies: &[Dependency], epoch: u64) -> Result<Vec<u8>> {
    let program = fs::read(&binary.path).with_context(|| format!("cannot read {}", binary.path.display()))?;
    let time = output(command("date").args(["--utc", "--date", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]))?;
    let mut components: Vec<Value> = dependencies.iter().skip(1).map(component).collect();
    for object in KERNEL_OBJECTS {
        let name = object.rsplit('/').next();
        components.push(json!({
            "type": "file", "bom-ref": name, "name": name, "version": binary.version,
            "description": "kernel programs, contained in the program", "hashes": [sha256(&source(object)?)],
            "licenses": [{"expression": "MIT OR GPL-2.0-only"}],
        }));
    }
    components.extend(binary.is_static.then(c_library).transpose()?);
    let root = dependencies.first().context("no dependency was found")?;
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.trim(),
            "tools": {"components": [{"type": "application", "name": "cargo xtask dist", "version": binary.version}]},
            "component": {
                "type": "application", "bom-ref": reference(root), "name": "perfmon", "version": binary.version,
                "licenses": [{"expression": OWN_LICENCE}], "hashes": [sha256(&program)],
            },
        },
        "components": components,
        "dependencies": dependencies.iter().map(|dependency| edges(dependency, dependencies)).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn component(dependency: &Dependency) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(dependency),
        "name": dependency.name,
        "version": dependency.version,
        // What only the build uses is not in the program.
        "scope": if dependency.is_linked { "required" } else { "excluded" },
        "purl": reference(dependency),
    });
    if let Some(licence) = &dependency.licence {
        component["licenses"] = json!([{"expression": licence}]);
    }
    if let Some(checksum) = &dependency.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &dependency.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

fn edges(dependency: &Dependency, all: &[Dependency]) -> Value {
    let mut uses: Vec<String> = dependency.uses.iter().map(|place| reference(&all[*place])).collect();
    uses.sort();
    uses.dedup();
    json!({"ref": reference(dependency), "dependsOn": uses})
}

fn c_library() -> Result<Value> {
    let said = output(command("getconf").arg("GNU_LIBC_VERSION"))?;
    let version = said.trim().strip_prefix("glibc ").with_context(|| format!("getconf GNU_LIBC_VERSION says {said:?}"))?;
    let name = format!("pkg:generic/glibc@{version}");
    Ok(json!({
        "type": "library", "bom-ref": name, "name": "glibc", "version": version, "scope": "required", "purl": name,
        "licenses": [{"expression": "LGPL-2.1-or-later"}],
    }))
}

/// The package URL, which also names a component within the document.
fn reference(dependency: &Dependency) -> String {
    format!("pkg:cargo/{}@{}", dependency.name, dependency.version)
}

fn sha256(content: &[u8]) -> Value {
    json!({"alg": "SHA-256", "content": hexadecimal(&Sha256::digest(content))})
}
