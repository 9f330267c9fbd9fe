//! Names of Python programs: `python app.py`, `python -m package`, and servers that are told their application
//! (uvicorn, gunicorn, hypercorn, flask, celery, …).
use super::{Program, stem};

/// Programs whose argument is the application that they serve.
const RUNNERS: [&str; 17] = [
    "arq",
    "celery",
    "daphne",
    "dramatiq",
    "fastapi",
    "flask",
    "granian",
    "gunicorn",
    "huey_consumer",
    "hypercorn",
    "litestar",
    "quart",
    "robyn",
    "sanic",
    "streamlit",
    "uvicorn",
    "waitress-serve",
];

/// Options of Python that take the next argument.
const VALUE_OPTIONS: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];

/// What Python was told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs<'a> {
    Module(&'a str),
    Script(&'a str),
}

pub(super) fn name(program: &Program<'_>) -> Option<String> {
    let (what, rest) = runs(program.arguments())?;
    let (runner, own) = match what {
        Runs::Module(module) => (module, Some(module_name(module))),
        Runs::Script(script) => (script.rsplit('/').next().unwrap_or(script).trim_end_matches(".py"), stem(program, script)),
    };
    let application = || application(program, runner, rest);
    if RUNNERS.contains(&runner) { application().or(own) } else { own }
}

/// The child processes of `multiprocessing` (spawn, forkserver): uvicorn's and others' workers.
pub(super) fn is_worker(arguments: &[String]) -> bool {
    arguments.iter().zip(arguments.iter().skip(1)).any(|(option, code)| option == "-c" && code.starts_with("from multiprocessing."))
}

/// What is run, and the arguments behind it; `None` for `-c`, standard input and the prompt.
pub(super) fn runs(arguments: &[String]) -> Option<(Runs<'_>, &[String])> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        let rest = |from: usize| arguments.get(from..).unwrap_or_default();
        match argument.strip_prefix('-') {
            None => return Some((Runs::Script(argument), rest(at + 1))),
            _ if VALUE_OPTIONS.contains(&argument.as_str()) => at += 2,
            Some("") => return None,
            Some(long) if long.starts_with('-') => at += 1,
            // Short options may stand together: -um package, -mpackage.
            Some(letters) => match letters.find(['m', 'c', 'W', 'X']) {
                Some(position) if letters[position..].starts_with('c') => return None,
                Some(position) if letters[position..].starts_with('m') => {
                    let attached = &letters[position + 1..];
                    let (module, next) = if attached.is_empty() { (arguments.get(at + 1)?.as_str(), at + 2) } else { (attached, at + 1) };
                    return Some((Runs::Module(module), rest(next)));
                }
                _ => at += 1,
            },
        }
    }
    None
}

/// The application that a server was told to run.
pub(super) fn application(program: &Program<'_>, runner: &str, arguments: &[String]) -> Option<String> {
    if runner == "gunicorn"
        && let Some(name) = option_value(arguments, &["-n", "--name"])
    {
        return Some(name.to_owned());
    }
    let options: &[&str] = if runner == "uwsgi" { &["-w", "--module", "--wsgi-file", "--wsgi"] } else { &["-A", "--app", "--application"] };
    if let Some(value) = option_value(arguments, options).filter(|value| is_reference(value) || value.ends_with(".py")) {
        return reference(program, value);
    }
    let positional = || arguments.iter().map(String::as_str);
    if let Some(found) = positional().find(|argument| argument.contains(':') && is_reference(argument)) {
        return Some(first_part(found));
    }
    if let Some(file) = positional().find(|argument| !argument.starts_with('-') && argument.ends_with(".py")) {
        return stem(program, file);
    }
    match runner {
        "flask" => reference(program, program.flask_app?),
        "gunicorn" | "arq" | "dramatiq" | "waitress-serve" | "huey_consumer" => {
            positional().next_back().filter(|last| is_reference(last)).map(first_part)
        }
        _ => None,
    }
}

fn reference(program: &Program<'_>, text: &str) -> Option<String> {
    let module = text.split(':').next().unwrap_or(text);
    if module.ends_with(".py") { stem(program, module) } else { Some(first_part(module)) }
}

/// `--name shop`, `--name=shop`, `-n shop`, `-nshop`.
fn option_value<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(at, argument)| {
        names.iter().find_map(|name| match argument.strip_prefix(name)? {
            "" => arguments.get(at + 1).map(String::as_str),
            rest if name.starts_with("--") => rest.strip_prefix('='),
            rest => Some(rest.trim_start_matches('=')),
        })
    })
}

/// `shop`, `shop.main`, `shop.main:app`, `shop:create_app()`.
fn is_reference(text: &str) -> bool {
    let (module, attribute) = text.split_once(':').unwrap_or((text, "app"));
    let identifier =
        |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_') && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let attribute = attribute.split('(').next().unwrap_or_default();
    module.split('.').all(identifier) && attribute.split('.').all(identifier)
}

/// `shop.main:app` → `shop`; a leading `src` says nothing.
pub(super) fn first_part(text: &str) -> String {
    let module = text.split(':').next().unwrap_or(text);
    let mut parts = module.split('.').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some("src"), Some(second)) => second.to_owned(),
        (first, _) => first.unwrap_or(module).to_owned(),
    }
}

/// `python -m shop.main` → `shop`, but `http.server` stays.
fn module_name(module: &str) -> String {
    match module.rsplit_once('.') {
        Some((package, "main" | "__main__" | "app" | "cli" | "run" | "wsgi" | "asgi")) => package.to_owned(),
        _ => module.to_owned(),
    }
}
