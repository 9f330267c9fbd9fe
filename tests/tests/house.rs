//! House rules that no lint knows: who imports whom (the table in ARCHITECTURE.md), lints inherited by every package, each file
//! opening with what it is, and no file growing beyond 500 lines (tests aside).
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use perfmon_tests::workspace;

/// A row of the import table.
#[derive(Debug, Default)]
struct Row {
    may_import: BTreeSet<String>,
    never_uses: BTreeSet<String>,
}

#[test]
fn imports_stay_inside_the_table() {
    let table = import_table();
    let source = workspace().join("perfmon-user/src");
    let mut problems = Vec::new();
    let mut modules = BTreeSet::new();
    for file in rust_files(&source) {
        let path = module_path(&source, &file);
        let Some(module) = path.first() else { continue };
        modules.insert(module.clone());
        let Some(row) = table.get(module) else {
            problems.push(format!("{}: module `{module}` has no row in ARCHITECTURE.md", file.display()));
            continue;
        };
        if path.iter().any(|part| part == "tests") {
            continue;
        }
        let code = code_of(&std::fs::read_to_string(&file).unwrap());
        for import in crate_imports(&code, path.len()) {
            let known = source.join(&import).is_dir() || source.join(format!("{import}.rs")).is_file();
            if known && import != *module && !row.may_import.contains(&import) && !row.may_import.contains("all") {
                problems.push(format!("{}: `{module}` may not import `{import}`", file.display()));
            }
        }
        let used = row.never_uses.iter().filter(|name| uses_crate(&code, name));
        problems.extend(used.map(|name| format!("{}: `{module}` may not use the crate `{name}`", file.display())));
    }
    let stale = table.keys().filter(|module| !modules.contains(*module));
    problems.extend(stale.map(|module| format!("ARCHITECTURE.md: no module `{module}`")));
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_package_inherits_the_lints() {
    let root = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = root.lines().find_map(|line| line.strip_prefix("members = ")).expect("the root manifest lists its members");
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 4, "{members:?}");
    for member in members {
        let manifest = std::fs::read_to_string(workspace().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}/Cargo.toml does not inherit the workspace's lints");
    }
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    let mut problems = Vec::new();
    for file in source_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let head = text.lines().take_while(|line| line.starts_with("//") && !line.starts_with("///")).count();
        let relative = file.strip_prefix(workspace()).unwrap();
        let tests_of_a_module = relative.iter().skip(1).any(|part| part == "tests" || part == "tests.rs");
        if (head == 0 || head > 12) && (!tests_of_a_module || relative.starts_with("tests")) {
            problems.push(format!("{}: opens with {head} lines that say what it is, not 1 to 12", file.display()));
        }
        let lines = text.lines().count();
        if lines > 500 && !tests_of_a_module {
            problems.push(format!("{}: {lines} lines, more than 500", file.display()));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// All Rust files of the repository, build output aside.
fn source_files() -> Vec<PathBuf> {
    let packages = ["perfmon-common", "perfmon-ebpf", "perfmon-user", "xtask", "tests"];
    let files: Vec<PathBuf> = packages.iter().flat_map(|package| rust_files(&workspace().join(package))).collect();
    assert!(files.len() > 40, "only {} files found", files.len());
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && !path.join("CACHEDIR.TAG").is_file() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The table under "Who may import whom"; a row may stand for several modules.
fn import_table() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md stands in the root");
    let (_, section) = text.split_once("## Who may import whom").expect("ARCHITECTURE.md has lost its import table");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<BTreeSet<String>> = line.split('|').skip(1).map(names_in_backticks).collect();
        for module in &cells[0] {
            table.insert(module.clone(), Row { may_import: cells[1].clone(), never_uses: cells[2].clone() });
        }
    }
    assert!(table.len() > 20, "the import table has only {} modules", table.len());
    table
}

fn names_in_backticks(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `["proto", "http1", "head"]` of `proto/http1/head.rs`; empty for the crate's own files.
fn module_path(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).expect("a file of the source folder").with_extension("");
    let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] || path == ["main"] {
        path.pop();
    }
    path
}

/// The code of a file up to its test module, without comments and string literals.
fn code_of(text: &str) -> String {
    let text = text.find("#[cfg(test)]\nmod tests {").map_or(text, |end| &text[..end]);
    let lines = text.lines().map(|line| without_strings(line.split("//").next().unwrap_or_default()));
    lines.collect::<Vec<_>>().join("\n")
}

fn without_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Names of the crate's top modules that the code refers to, as `crate::x`, `crate::{x, y::z}` or by enough `super::`.
fn crate_imports(code: &str, depth: usize) -> BTreeSet<String> {
    let to_root = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for (start, prefix) in [("crate::", "crate::"), (to_root.as_str(), to_root.as_str())] {
        for (position, _) in code.match_indices(start) {
            let before = code[..position].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            found.extend(first_names(&code[position + prefix.len()..]));
        }
    }
    found
}

/// The first path segments of what follows: one name, or those of a `{…}` group.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![identifier(rest)] };
    let mut names = Vec::new();
    let mut nesting = 1;
    let mut at_start = true;
    for (position, character) in group.char_indices() {
        match character {
            '{' => nesting += 1,
            '}' => nesting -= 1,
            ',' if nesting == 1 => at_start = true,
            c if nesting == 1 && at_start && !c.is_whitespace() => {
                names.push(identifier(&group[position..]));
                at_start = false;
            }
            _ => {}
        }
        if nesting == 0 {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn uses_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(position, _)| {
        let before = code[..position].chars().next_back();
        let alone = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        let after = &code[position + name.len()..];
        alone && (after.starts_with("::") || (after.starts_with(';') && code[..position].trim_end().ends_with("use")))
    })
}

mod the_checks_can_fail {
    use super::*;

    #[test]
    fn imports_are_found_in_every_form() {
        let code = code_of(
            "use crate::{alpha, beta::{Gamma, delta}, epsilon};\nfn f() { crate::zeta::g() } // crate::eta\nlet t = \"crate::theta\";",
        );
        let found: Vec<String> = crate_imports(&code, 1).into_iter().collect();
        assert_eq!(found, ["alpha", "beta", "epsilon", "zeta"]);
        assert!(crate_imports("use super::super::iota::X;", 2).contains("iota"));
        assert!(crate_imports("use super::sibling::X;", 2).is_empty());
        assert!(crate_imports("mycrate::x", 1).is_empty());
    }

    #[test]
    fn crates_are_found_and_others_are_not() {
        assert!(uses_crate("use tokio::sync::mpsc;", "tokio"));
        assert!(uses_crate("let x = tokio::spawn(f);", "tokio"));
        assert!(uses_crate("use aya;", "aya"));
        assert!(!uses_crate("use mytokio::sync;", "tokio"));
        assert!(!uses_crate("let aya = 1;", "aya"));
    }

    #[test]
    fn tests_at_the_end_are_free() {
        assert_eq!(crate_imports(&code_of("use crate::a;\n#[cfg(test)]\nmod tests {\n use crate::b;\n}"), 1).len(), 1);
    }
}
