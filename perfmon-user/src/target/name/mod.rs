//! What a process is called after its program: the executable's name, for interpreters that of what they run (script, module,
//! application, package, jar, class). In: executable, arguments, working directory and the files there. Out: a name, or that the
//! process goes by its parent's. Environment, containers and units are `describe`'s.
//!
//! The rules, first match counts: an application reference (`shop.main:app`, `-A shop`) gives its first part · a node script the
//! `name` of its package.json · a script its file name without ending · a module its dotted name · a jar its name without version ·
//! a class its simple name · anything else the name that it was called by.
mod node;
mod python;
mod rest;

use std::path::{Component, Path, PathBuf};

/// What is known of a program.
pub(super) struct Program<'a> {
    pub comm: &'a str,
    pub exe: Option<&'a Path>,
    pub argv: &'a [String],
    pub cwd: Option<&'a Path>,
    /// `FLASK_APP` of its environment.
    pub flask_app: Option<&'a str>,
    /// Reads a file as the process sees it.
    pub read: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Its own.
    Own(String),
    /// A worker that was started as part of its parent; the name when nothing is known of that one.
    Parents(String),
}

/// What executes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Python,
    Node,
    Deno,
    Bun,
    Java,
    Ruby,
    Php,
    Dotnet,
    /// sh, perl and others whose first argument is a script.
    Script,
    Native,
}

impl Program<'_> {
    /// File name of the executable.
    pub(super) fn exe_name(&self) -> Option<&str> {
        self.exe?.file_name()?.to_str()
    }

    /// The word that the program was called by, without directory.
    pub(super) fn called(&self) -> Option<&str> {
        let word = self.argv.first()?.split([' ', ':']).next()?;
        Some(word.rsplit('/').next().unwrap_or(word).trim_start_matches('-')).filter(|word| !word.is_empty())
    }

    pub(super) fn family(&self) -> Family {
        match self.exe_name() {
            Some(name) => family(name),
            None => family(self.called().unwrap_or(self.comm)),
        }
    }

    /// A path made absolute.
    pub(super) fn absolute(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        if path.is_absolute() { Some(normal(path)) } else { Some(normal(&self.cwd?.join(path))) }
    }

    fn arguments(&self) -> &[String] {
        self.argv.get(1..).unwrap_or_default()
    }

    /// The process has replaced its arguments by one line of its own.
    fn title(&self) -> Option<&str> {
        match self.argv {
            [title] if title.contains(' ') => Some(title),
            _ => None,
        }
    }

    /// The executable's own name, by which it was called: `redis-server` and not the `redis-check-rdb` that it is a link to.
    fn native(&self) -> String {
        let called = self.called().filter(|called| cut_to_comm(called) == self.comm);
        called.or(self.exe_name()).or(self.called()).unwrap_or(self.comm).to_owned()
    }
}

/// `comm` holds 15 bytes.
fn cut_to_comm(name: &str) -> &str {
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The name of a program.
pub(super) fn name(program: &Program<'_>) -> Name {
    let family = program.family();
    let name = match (family, program.title()) {
        (Family::Native, _) => None,
        (_, Some(title)) => return titled(program, family, title),
        (Family::Python, None) if python::is_worker(program.arguments()) => return Name::Parents(program.native()),
        (Family::Python, None) => python::name(program),
        (Family::Node | Family::Bun | Family::Deno, None) => node::name(program, family),
        (Family::Java, None) => rest::java(program.arguments()),
        (Family::Ruby | Family::Php, None) => rest::ruby_or_php(program),
        (Family::Dotnet, None) => rest::dotnet(program.arguments()),
        (Family::Script, None) => rest::script(program),
    };
    let native = || if program.exe_name() == Some("uwsgi") { python::application(program, "uwsgi", program.arguments()) } else { None };
    Name::Own(name.or_else(native).filter(|name| !name.is_empty()).unwrap_or_else(|| program.native()))
}

/// A script that something runs: absolute path where known, and its module for `python -m`. For `--exe` and for names.
pub(super) fn script_of(program: &Program<'_>) -> Option<String> {
    let arguments = program.arguments();
    match program.family() {
        Family::Python => python::runs(arguments).map(|(what, _)| match what {
            python::Runs::Module(text) | python::Runs::Script(text) => text.to_owned(),
        }),
        Family::Node => node::script(arguments).map(str::to_owned),
        Family::Bun | Family::Deno => node::sub_script(arguments).map(str::to_owned),
        Family::Java => rest::jar(arguments).map(str::to_owned),
        Family::Ruby | Family::Php | Family::Script => rest::first_script(program).map(str::to_owned),
        Family::Dotnet => rest::dll(arguments).map(str::to_owned),
        Family::Native => None,
    }
}

/// Names from a line like `gunicorn: master [shop.main:app]`, `puma 6.4.0 (tcp://…) [shop]`, `php-fpm: pool shop`, `next-server (v14)`.
fn titled(program: &Program<'_>, family: Family, title: &str) -> Name {
    let word = title_word(program);
    match titled_own(program, family, title) {
        Some(name) => Name::Own(name),
        None if family == Family::Python => Name::Parents(word),
        None => Name::Own(word),
    }
}

fn title_word(program: &Program<'_>) -> String {
    program.called().unwrap_or(program.comm).trim_start_matches('[').to_owned()
}

/// Whether a title hides what an interpreter runs, and tells no name of it.
pub(super) fn is_hidden(program: &Program<'_>) -> bool {
    let family = program.family();
    family != Family::Native && program.title().is_some_and(|title| titled_own(program, family, title).is_none())
}

/// The name of an application in a title.
fn titled_own(program: &Program<'_>, family: Family, title: &str) -> Option<String> {
    let word = title_word(program);
    let bracket = title.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(inside, _)| inside);
    let own = match family {
        Family::Python => bracket.filter(|_| word == "gunicorn").map(python::first_part),
        Family::Ruby if word == "sidekiq" => title.split(' ').nth(2).map(str::to_owned),
        Family::Ruby => bracket.map(str::to_owned),
        Family::Php => title.strip_prefix("php-fpm: pool ").filter(|pool| *pool != "www").map(str::to_owned),
        Family::Node | Family::Bun => program.cwd.and_then(|cwd| node::package(program, cwd)),
        _ => None,
    };
    own.filter(|name| !name.is_empty())
}

/// A file name as a service name: without directory and ending; of `index.js` and `__main__.py` the directory's name.
fn stem(program: &Program<'_>, path: &str) -> Option<String> {
    let file = path.trim_end_matches('/').rsplit('/').next()?;
    let name = match file.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ENDINGS.contains(&ending) => stem,
        _ => file,
    };
    if matches!(name, "index" | "__main__" | "." | "..") {
        let absolute = program.absolute(path)?;
        let directory = if name.starts_with('.') { absolute.as_path() } else { absolute.parent()? };
        return directory_name(directory).or_else(|| (name == "index").then(|| name.to_owned()));
    }
    Some(name.to_owned())
}

const ENDINGS: [&str; 20] =
    ["py", "pyc", "pyz", "pyw", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "rb", "ru", "php", "phar", "pl", "sh", "dll", "jar"];

fn directory_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// Takes `.` and `..` out of a path without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn family(name: &str) -> Family {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    match base {
        "python" | "pypy" | "Python" | "pythonw" => Family::Python,
        "node" | "nodejs" => Family::Node,
        "deno" => Family::Deno,
        "bun" => Family::Bun,
        "java" => Family::Java,
        "ruby" | "jruby" | "truffleruby" => Family::Ruby,
        "php" | "php-fpm" | "php-cgi" | "php-cli" => Family::Php,
        "dotnet" => Family::Dotnet,
        "sh" | "bash" | "dash" | "zsh" | "ash" | "ksh" | "perl" | "Rscript" | "lua" | "luajit" | "tclsh" => Family::Script,
        // python3.13t, the build without the interpreter lock
        _ if name.starts_with("python3.") => Family::Python,
        _ => Family::Native,
    }
}

#[cfg(test)]
mod tests;
