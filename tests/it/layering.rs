//! Imports point one way: a module uses only what is below it, and the libraries do not know each
//! other. The orders are those of ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top: a module imports only those before it.
const SERVER: &[&str] = &[
    "clock",
    "json",
    "metrics",
    "scope",
    "csrf",
    "claims",
    "revocation",
    "keys",
    "proof",
    "refresh_token",
    "verify",
    "store",
    "protect",
    "issue",
    "endpoint",
    "guide",
];

/// The halves of the server that meet only in what is below both.
const SERVER_HALVES: (&[&str], &[&str]) = (
    &["protect"],
    &["refresh_token", "store", "issue", "endpoint"],
);

const CLIENT: &[&str] = &[
    "clock",
    "timer",
    "dpop",
    "metrics",
    "tokens",
    "origin",
    "challenge",
    "replay",
    "event",
    "store",
    "refresh",
    "schedule",
    "manager",
    "managers",
    "outcome",
    "future",
    "service",
    "layer",
    "grpc",
    "reqwest",
    "reqwest_middleware",
    "test_util",
    "guide",
];

#[test]
fn the_server_imports_downwards() {
    assert_eq!(upward_imports("auth-layer", SERVER), [""; 0]);
}

#[test]
fn the_client_imports_downwards() {
    assert_eq!(upward_imports("refresh-client-layer", CLIENT), [""; 0]);
}

#[test]
fn the_halves_of_the_server_do_not_know_each_other() {
    let (protect, issue) = SERVER_HALVES;
    let mut known = Vec::new();
    for import in imports("auth-layer") {
        let crosses = |from: &[&str], to: &[&str]| {
            from.contains(&import.from.as_str()) && to.contains(&import.to.as_str())
        };
        if crosses(protect, issue) || crosses(issue, protect) {
            known.push(import.place);
        }
    }
    assert_eq!(known, [""; 0]);
}

#[test]
fn the_libraries_do_not_know_each_other() {
    for (library, other) in [
        ("auth-layer", "refresh-client-layer"),
        ("refresh-client-layer", "auth-layer"),
    ] {
        let manifest = fs::read_to_string(root().join(library).join("Cargo.toml")).unwrap();
        assert!(
            !manifest.contains(&format!("\n{other}")),
            "{library} depends on {other}"
        );
    }
}

#[test]
fn every_module_has_its_place() {
    for (library, order) in [("auth-layer", SERVER), ("refresh-client-layer", CLIENT)] {
        for file in sources(library) {
            let module = module(library, &file);
            assert!(
                module == "lib" || order.contains(&module.as_str()),
                "{library}: `{module}` has no place in the order; give it one here and in ARCHITECTURE.md"
            );
        }
    }
}

struct Import {
    from: String,
    to: String,
    place: String,
}

fn upward_imports(library: &str, order: &[&str]) -> Vec<String> {
    let is_upward = |import: &Import| {
        let rank = |module: &str| order.iter().position(|it| *it == module);
        // A type imported from the root has no rank: its module must be named.
        import.from != import.to && rank(&import.to).is_none_or(|to| Some(to) >= rank(&import.from))
    };
    imports(library)
        .into_iter()
        .filter(is_upward)
        .map(|import| import.place)
        .collect()
}

/// Each `crate::module` in code, tests left out.
fn imports(library: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for file in sources(library) {
        let from = module(library, &file);
        if from == "lib" {
            continue;
        }
        for (number, line) in code(&file).lines().enumerate() {
            for (_, rest) in line
                .match_indices("crate::")
                .map(|(at, it)| line.split_at(at + it.len()))
            {
                let to: String = rest
                    .chars()
                    .take_while(|it| it.is_alphanumeric() || *it == '_')
                    .collect();
                let place = format!("{}:{}: {}", file.display(), number + 1, line.trim());
                imports.push(Import {
                    from: from.clone(),
                    to,
                    place,
                });
            }
        }
    }
    imports
}

/// A file without comments and without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let without_comment = |line: &str| {
        if line.trim_start().starts_with("//") {
            String::new()
        } else {
            line.to_owned()
        }
    };
    code.lines()
        .map(without_comment)
        .collect::<Vec<_>>()
        .join("\n")
}

fn module(library: &str, file: &Path) -> String {
    let path = file.strip_prefix(root().join(library).join("src")).unwrap();
    let first = path
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn sources(library: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(library).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
