//! Names of JavaScript programs (node, Bun, Deno): the `name` of the package.json that a script belongs to, else its file name.
use std::path::Path;

use super::{Family, Program, normal, stem};

/// Options of node that take the next argument.
const VALUE_OPTIONS: [&str; 12] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--inspect-port",
    "--title",
    "--diagnostic-dir",
    "--stack-trace-limit",
];

/// How far up from a script its package.json is looked for.
const LEVELS: usize = 6;

pub(super) fn name(program: &Program<'_>, family: Family) -> Option<String> {
    let arguments = program.arguments();
    match family {
        Family::Node => of_script(program, script(arguments)?),
        Family::Deno => stem(program, sub_script(arguments)?),
        _ => {
            let what = sub_script(arguments)?;
            // `bun run start` names an entry of package.json's scripts, not a file.
            if what.contains(['.', '/']) {
                of_script(program, what)
            } else {
                program.cwd.and_then(|cwd| package(program, cwd)).or_else(|| Some(what.to_owned()))
            }
        }
    }
}

/// The script in node's arguments; `None` for `-e`, `-p` and the prompt.
pub(super) fn script(arguments: &[String]) -> Option<&str> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match argument.as_str() {
            "-e" | "--eval" | "-p" | "--print" | "-pe" | "-" | "-i" => return None,
            "inspect" | "--" => at += 1,
            option if VALUE_OPTIONS.contains(&option) => at += 2,
            option if option.starts_with('-') => at += 1,
            script => return Some(script),
        }
    }
    None
}

/// The script in the arguments of Bun and Deno, which have commands before it.
pub(super) fn sub_script(arguments: &[String]) -> Option<&str> {
    let mut words = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-'));
    match words.next()? {
        "run" | "serve" | "task" | "x" | "start" => words.next(),
        script => Some(script),
    }
}

fn of_script(program: &Program<'_>, script: &str) -> Option<String> {
    let Some(path) = program.absolute(script) else { return stem(program, script) };
    let text = path.to_string_lossy();
    // A tool among the dependencies runs the application around it; a tool installed for all runs as itself.
    if let Some((application, _)) = text.split_once("/node_modules/") {
        let directory = if application.is_empty() { "/" } else { application };
        let tool = text.rsplit_once("/node_modules/").map(|(_, inside)| inside).and_then(package_directory);
        return package_at(program, Path::new(directory)).or(tool).or_else(|| stem(program, script));
    }
    package(program, path.parent()?).or_else(|| stem(program, script))
}

/// `npm/bin/npm-cli.js` → `npm`, `@scope/tool/cli.js` → `@scope/tool`, `.bin/next` → `next`.
fn package_directory(inside: &str) -> Option<String> {
    let mut parts = inside.split('/');
    match (parts.next()?, parts.next()) {
        (scope, Some(name)) if scope.starts_with('@') => Some(format!("{scope}/{name}")),
        (".bin", name) => name.map(str::to_owned),
        (name, _) => Some(name.to_owned()),
    }
}

/// The name of the nearest package at or above a directory.
pub(super) fn package(program: &Program<'_>, directory: &Path) -> Option<String> {
    normal(directory).ancestors().take(LEVELS).find_map(|directory| package_at(program, directory))
}

fn package_at(program: &Program<'_>, directory: &Path) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(&(program.read)(&directory.join("package.json"))?).ok()?;
    json.get("name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}
