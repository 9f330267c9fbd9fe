//! Names of Java, Ruby, PHP, .NET and shell programs.
use super::{Family, Program, directory_name, stem};

/// Options of java that take the next argument.
const JAVA_VALUES: [&str; 12] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "--limit-modules",
    "--upgrade-module-path",
    "-d",
];

/// Programs that run the application in their directory.
const IN_DIRECTORY: [&str; 13] =
    ["rails", "puma", "pumactl", "unicorn", "unicorn_rails", "rackup", "sidekiq", "thin", "falcon", "bundle", "rake", "artisan", "console"];

/// Options of ruby, php and shells that take the next argument.
const VALUES: [&str; 8] = ["-r", "-I", "-C", "-d", "-c", "-o", "-O", "-t"];

/// `foo` of `-jar foo-1.2.jar`, `Main` of `com.acme.Main`, `shop` of `-m com.acme.shop/com.acme.shop.Main`.
pub(super) fn java(arguments: &[String]) -> Option<String> {
    if let Some(jar) = jar(arguments) {
        let file = jar.rsplit('/').next().unwrap_or(jar);
        return Some(without_version(file.strip_suffix(".jar").or_else(|| file.strip_suffix(".war")).unwrap_or(file)).to_owned());
    }
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match argument.as_str() {
            option if JAVA_VALUES.contains(&option) => at += 2,
            "-m" | "--module" => {
                let module = arguments.get(at + 1)?.split('/').next()?;
                return module.rsplit('.').next().map(str::to_owned);
            }
            option if option.starts_with(['-', '@']) => at += 1,
            class => return class.rsplit(['.', '/']).next().map(str::to_owned),
        }
    }
    None
}

pub(super) fn jar(arguments: &[String]) -> Option<&str> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match argument.as_str() {
            "-jar" => return arguments.get(at + 1).map(String::as_str),
            option if JAVA_VALUES.contains(&option) => at += 2,
            option if option.starts_with(['-', '@']) => at += 1,
            _ => return None,
        }
    }
    None
}

/// `shop-1.2.0-SNAPSHOT` → `shop`.
fn without_version(name: &str) -> &str {
    let version = name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    version.map_or(name, |(at, _)| if at == 0 { name } else { &name[..at] })
}

/// Scripts; for servers like rails and artisan the name of the application's directory.
pub(super) fn ruby_or_php(program: &Program<'_>) -> Option<String> {
    let script = first_script(program)?;
    let tool = script.rsplit('/').next().unwrap_or(script);
    if !IN_DIRECTORY.contains(&tool) {
        return stem(program, script);
    }
    program.cwd.and_then(directory_name).or_else(|| Some(tool.to_owned()))
}

/// The script in the arguments of ruby, php, shells and perl; `None` for code on the command line.
pub(super) fn first_script<'a>(program: &'a Program<'_>) -> Option<&'a str> {
    let (arguments, family) = (program.arguments(), program.family());
    let shell = family == Family::Script && program.exe_name().or(program.called()).is_some_and(|name| name.ends_with("sh"));
    let code: &[&str] = match family {
        Family::Php => &["-r", "-S", "--server", "-i"],
        _ if shell => &["-c", "-s"],
        _ => &["-e", "-E"],
    };
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match argument.as_str() {
            option if code.contains(&option) => return None,
            "-f" if family == Family::Php => at += 1,
            option if VALUES.contains(&option) => at += 2,
            // -ec and the like
            option if shell && option.starts_with('-') && !option.starts_with("--") && option.ends_with('c') => return None,
            option if option.starts_with(['-', '+']) => at += 1,
            script => return Some(script),
        }
    }
    None
}

pub(super) fn script(program: &Program<'_>) -> Option<String> {
    stem(program, first_script(program)?)
}

pub(super) fn dotnet(arguments: &[String]) -> Option<String> {
    let dll = dll(arguments)?;
    dll.rsplit('/').next()?.strip_suffix(".dll").map(str::to_owned)
}

pub(super) fn dll(arguments: &[String]) -> Option<&str> {
    arguments.iter().map(String::as_str).find(|argument| !argument.starts_with('-') && argument.ends_with(".dll"))
}
