//! House rules beyond lints: imports stay inside the table in ARCHITECTURE.md and form no circle, a type name has one meaning, modules have
//! one style, every package inherits the lints, every file has a header and at most 500 lines (tests aside).
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use perfmon_tests::workspace;

/// A row of the import table.
#[derive(Debug, Default)]
struct Row {
    may_import: BTreeSet<String>,
    never_uses: BTreeSet<String>,
}

/// A file of `perfmon-user/src`, test modules aside.
struct SourceFile {
    file: PathBuf,
    /// `["proto", "http1", "head"]` of `proto/http1/head.rs`; never empty.
    path: Vec<String>,
    code: String,
}

impl SourceFile {
    fn module(&self) -> &str {
        &self.path[0]
    }

    /// Top modules of the crate that the file refers to.
    fn imports(&self, modules: &BTreeSet<String>) -> BTreeSet<String> {
        crate_imports(&self.code, self.path.len())
            .into_iter()
            .filter(|import| modules.contains(import) && import != self.module())
            .collect()
    }
}

#[test]
fn imports_stay_inside_the_table() {
    let table = import_table();
    let files = user_files();
    let modules = top_modules(&files);
    let mut problems = Vec::new();
    for file in &files {
        let (module, shown) = (file.module(), file.file.display());
        let Some(row) = table.get(module) else {
            problems.push(format!("{shown}: module `{module}` has no row in ARCHITECTURE.md"));
            continue;
        };
        let foreign =
            file.imports(&modules).into_iter().filter(|import| !row.may_import.contains(import) && !row.may_import.contains("all"));
        problems.extend(foreign.map(|import| format!("{shown}: `{module}` may not import `{import}`")));
        let used = row.never_uses.iter().filter(|name| uses_crate(&file.code, name));
        problems.extend(used.map(|name| format!("{shown}: `{module}` may not use the crate `{name}`")));
    }
    let stale = table.keys().filter(|module| !modules.contains(*module));
    problems.extend(stale.map(|module| format!("ARCHITECTURE.md: no module `{module}`")));
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn modules_do_not_import_in_a_circle() {
    let table = import_table();
    let files = user_files();
    let modules = top_modules(&files);
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| table.get(file.module()).is_none_or(|row| !row.may_import.contains("all"))) {
        graph.entry(file.module().to_owned()).or_default().extend(file.imports(&modules));
    }
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 40, "only these imports were found: {graph:?}");
    let circle = circle_in(&graph);
    assert!(circle.is_none(), "modules import each other in a circle: {}", circle.unwrap_or_default().join(" → "));
}

#[test]
fn a_type_name_has_one_meaning() {
    let common = workspace().join("perfmon-common/src");
    let files = rust_files(&common).into_iter().chain(user_files().into_iter().map(|file| file.file));
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        for name in type_names(&code_of(&std::fs::read_to_string(&file).unwrap())) {
            places.entry(name).or_default().push(file.strip_prefix(workspace()).unwrap().display().to_string());
        }
    }
    assert!(places.len() > 400, "only {} types found", places.len());
    let problems = places.iter().filter(|(_, files)| files.len() > 1);
    let problems: Vec<String> = problems.map(|(name, files)| format!("`{name}` is defined in {}", files.join(", "))).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The kernel side keeps its one such module: moving it would change its committed object for nothing.
#[test]
fn a_module_with_a_folder_stands_in_it() {
    let kernel = workspace().join("perfmon-ebpf");
    let problems: Vec<String> = source_files()
        .iter()
        .filter(|file| file.with_extension("").is_dir() && !file.starts_with(&kernel))
        .map(|file| format!("{} stands beside a folder of its name: move it to `mod.rs` in that folder", file.display()))
        .collect();
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

/// The files of `perfmon-user/src` that belong to a module, test modules aside.
fn user_files() -> Vec<SourceFile> {
    let source = workspace().join("perfmon-user/src");
    let files = rust_files(&source).into_iter().map(|file| {
        let path = module_path(&source, &file);
        let code = code_of(&std::fs::read_to_string(&file).expect("a source file can be read"));
        SourceFile { file, path, code }
    });
    files.filter(|file| !file.path.is_empty() && !file.path.iter().any(|part| part == "tests")).collect()
}

fn top_modules(files: &[SourceFile]) -> BTreeSet<String> {
    files.iter().map(|file| file.module().to_owned()).collect()
}

/// A circle of the graph, its first name repeated at the end.
fn circle_in(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'a>(
        graph: &'a BTreeMap<String, BTreeSet<String>>,
        module: &'a str,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(begin) = path.iter().position(|earlier| *earlier == module) {
            return Some(path[begin..].iter().chain([&module]).map(ToString::to_string).collect());
        }
        if !done.insert(module) {
            return None;
        }
        path.push(module);
        let circle = graph.get(module)?.iter().find_map(|import| visit(graph, import, path, done));
        path.pop();
        circle
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| visit(graph, module, &mut Vec::new(), &mut done))
}

/// Names of the types that the code defines, without associated types.
fn type_names(code: &str) -> Vec<String> {
    let name = |line: &str| {
        let item = line.trim_start();
        let visibility = item.strip_prefix("pub").map(|rest| rest.trim_start());
        let item = match visibility {
            Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or(item, |(_, item)| item.trim_start()),
            Some(rest) => rest,
            None => item,
        };
        let kinds: &[&str] =
            if line == line.trim_start() { &["struct ", "enum ", "union ", "trait ", "type "] } else { &["struct ", "enum "] };
        let found = kinds.iter().find_map(|kind| item.strip_prefix(kind)).map(identifier)?;
        found.starts_with(char::is_uppercase).then_some(found)
    };
    code.lines().filter_map(name).collect()
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
    fn a_circle_is_found_and_a_diamond_is_none() {
        let graph = |edges: &[(&str, &str)]| {
            let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (from, to) in edges {
                graph.entry((*from).into()).or_default().insert((*to).into());
                graph.entry((*to).into()).or_default();
            }
            graph
        };
        assert_eq!(circle_in(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
        let circle = circle_in(&graph(&[("a", "b"), ("a", "z"), ("b", "c"), ("c", "d"), ("d", "b")]));
        assert_eq!(circle.unwrap(), ["b", "c", "d", "b"]);
    }

    #[test]
    fn types_are_found_in_every_form() {
        let code = "pub struct A;\npub(super) enum B<T> {}\nstruct C(u8);\npub(crate) trait D: Sized {}\ntype E = u8;\nfn f() {\n    struct G;\n}\n\
                    impl D for A {\n    type H = u8;\n}\n        pub struct $name {}\npublic struct I;\nlet structure = 1;";
        assert_eq!(type_names(code), ["A", "B", "C", "D", "E", "G"]);
    }

    #[test]
    fn tests_at_the_end_are_free() {
        assert_eq!(crate_imports(&code_of("use crate::a;\n#[cfg(test)]\nmod tests {\n use crate::b;\n}"), 1).len(), 1);
    }
}
