//! The guides say what the code says.

mod defaults;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LIBRARIES: [&str; 2] = ["auth-layer", "refresh-client-layer"];

#[test]
fn the_page_of_errors_names_every_kind_and_no_other() {
    for library in LIBRARIES {
        let folder = root().join(library).join("src");
        let page = fs::read_to_string(folder.join("guide/errors.md")).unwrap();
        let in_code = kinds(&folder);
        assert!(!in_code.is_empty());
        assert_eq!(
            tables(&page, "[`"),
            in_code,
            "{library}: left the page, right the code"
        );
    }
}

#[test]
fn the_pages_for_operators_name_every_metric_and_no_other() {
    for library in LIBRARIES {
        let folder = root().join(library).join("src");
        let page = fs::read_to_string(folder.join("guide/operate.md")).unwrap();
        let code = fs::read_to_string(folder.join("metrics.rs")).unwrap();
        let rows = page.lines().filter_map(|it| it.strip_prefix("| `"));
        assert_eq!(
            rows.flat_map(metric).collect::<BTreeSet<_>>(),
            code.split('"').filter_map(metric).collect(),
            "left the page, right the code"
        );
    }
}

#[test]
fn the_clients_page_for_operators_has_every_line_of_the_log_and_every_label() {
    let folder = root().join("refresh-client-layer/src");
    let page = fs::read_to_string(folder.join("guide/operate.md")).unwrap();
    let code = files(&folder, &["rs"]).into_iter();
    let code: String = code.map(|it| fs::read_to_string(it).unwrap()).collect();
    assert_eq!(lines_of_the_page(&page), lines_of_the_log(&code));
    assert!(code.contains(r#"debug_span!("refresh", flight)"#));
    for (label, table) in tables(&page, "`") {
        assert!(code.contains(&format!("\"{label}\" => ")), "{label}");
        for value in table {
            let is_in_code = |after| code.contains(&format!("\"{value}\"{after}"));
            assert!([",", ")", "\n"].into_iter().any(is_in_code), "{value}");
        }
    }
}

/// Level and text, from the table.
fn lines_of_the_page(page: &str) -> BTreeSet<(&str, &str)> {
    let rows = page.lines().filter_map(|it| it.strip_prefix("| "));
    rows.filter_map(|row| {
        let (level, rest) = row.split_once(" | `")?;
        let level = ["error", "warn", "info", "debug"]
            .contains(&level)
            .then_some(level)?;
        Some((level, rest.split('`').next()?))
    })
    .collect()
}

/// Level and text, from the macros of `tracing`.
fn lines_of_the_log(code: &str) -> BTreeSet<(&str, &str)> {
    let calls = code.split("tracing::").skip(1);
    calls
        .filter_map(|call| {
            let (level, rest) = call.split_once("!(")?;
            let level = ["error", "warn", "info", "debug"]
                .contains(&level)
                .then_some(level)?;
            Some((level, rest.split('"').nth(1)?))
        })
        .collect()
}

/// A client that follows redirects by its own rules carries the token to the second foreign hop.
#[test]
fn whoever_learns_here_builds_clients_that_keep_the_token_at_home() {
    let folders = ["examples", "auth-layer/src", "refresh-client-layer/src"];
    let files = folders.map(|folder| files(&root().join(folder), &["rs", "md"]));
    let mut seen = 0;
    for file in files.concat().into_iter().chain([root().join("README.md")]) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("reqwest::Client::new()"), "{file:?}");
        let gives_a_client = ["AuthClient::new(", "RefreshMiddleware::new("];
        if gives_a_client.iter().any(|it| text.contains(it)) {
            seen += 1;
            assert!(text.contains("same_origin_redirects"), "{file:?}");
        }
    }
    assert!(seen > 2, "there are such files");
}

/// The name of a metric that `text` begins with.
fn metric(text: &str) -> Option<&str> {
    let name = text.split('`').next()?;
    ["auth_layer_", "refresh_client_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        .then_some(name)
}

type Kinds = BTreeMap<String, BTreeSet<String>>;

/// The tables of a page whose first cell is a name after `opening`, such as the link to an enum: what
/// their first column names.
fn tables(page: &str, opening: &str) -> Kinds {
    let mut tables = Kinds::new();
    let mut table = None;
    for line in page.lines() {
        let Some(cell) = line.strip_prefix("| ") else {
            table = None;
            continue;
        };
        let name = |opening| {
            let name = cell.strip_prefix(opening)?.split('`').next()?;
            Some(name.to_owned())
        };
        match &mut table {
            None => table = Some(name(opening).map(|it| tables.entry(it).or_default())),
            Some(Some(table)) => table.extend(name("`")),
            Some(None) => {}
        }
    }
    tables
}

/// The public enums that say why something failed, and their variants.
fn kinds(folder: &Path) -> Kinds {
    let mut kinds = Kinds::new();
    for file in files(folder, &["rs"]) {
        let code = fs::read_to_string(file).unwrap();
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            let Some(name) = line.strip_prefix("pub enum ") else {
                continue;
            };
            let name = name.trim_end_matches(" {");
            let variants = lines.by_ref().take_while(|line| *line != "}");
            let variants = variants.filter_map(variant).collect();
            if name.ends_with("Kind") || ["EndReason", "NotRetried"].contains(&name) {
                kinds.insert(name.to_owned(), variants);
            }
        }
    }
    kinds
}

fn variant(line: &str) -> Option<String> {
    let name = line.strip_prefix("    ")?;
    let name = name.split([',', '(', ' ']).next()?;
    name.starts_with(char::is_uppercase)
        .then(|| name.to_owned())
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path, extensions));
        } else if path
            .extension()
            .is_some_and(|it| extensions.iter().any(|ext| it == *ext))
        {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
