use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};
use toml::{Table, Value};

use crate::options::Options;

/// The options of a command line and of the file that it names. Its keys are the flags, so that there
/// is one list of them.
///
/// # Errors
/// A sentence about the file; mistakes on the command line end the program, as clap has it.
pub(crate) fn read(args: Vec<OsString>) -> Result<Options, Box<dyn Error>> {
    let alone = Options::command().mut_args(|it| it.required(false));
    let given = alone.get_matches_from(&args);
    let mut all: Vec<_> = args.iter().take(1).cloned().collect();
    if let Some(path) = given.get_one::<PathBuf>("config") {
        all.extend(flags(path)?.into_iter().map(OsString::from));
    }
    all.extend(args.into_iter().skip(1));
    // What comes last wins.
    let matches = Options::command()
        .args_override_self(true)
        .get_matches_from(all);
    Ok(Options::from_arg_matches(&matches)?)
}

/// The file as flags.
fn flags(path: &Path) -> Result<Vec<String>, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |at| text[..at.start].lines().count().max(1));
        format!("{name}: line {line} is no TOML: {}", error.message())
    })?;
    let command = Options::command();
    let flags = table.iter().map(|(key, value)| {
        let known = command
            .get_arguments()
            .find(|it| it.get_long() == Some(key));
        let known = known.filter(|it| it.get_id() != "config");
        let known = known
            .ok_or("there is no such key; the keys are the flags that --help lists".to_owned());
        let flag = known.and_then(|it| flag(it, key, value));
        flag.map_err(|what| format!("{name}: `{key}`: {what}"))
    });
    let flags: Result<Vec<_>, _> = flags.collect();
    Ok(flags?.into_iter().flatten().collect())
}

/// One key as a flag, which is known to be good.
fn flag(known: &Arg, key: &str, value: &Value) -> Result<Option<String>, String> {
    let is_switch = matches!(known.get_action(), ArgAction::SetTrue);
    let flag = match value {
        Value::Boolean(on) if is_switch => return Ok(on.then(|| format!("--{key}"))),
        _ if is_switch => return Err("give true or false".to_owned()),
        Value::String(text) => format!("--{key}={text}"),
        Value::Integer(number) => format!("--{key}={number}"),
        _ => return Err("give a text in quotes, or a number".to_owned()),
    };
    let alone = Command::new("gateway").arg(known.clone().required(false));
    match alone.try_get_matches_from(["gateway", &flag]) {
        Ok(_) => Ok(Some(flag)),
        Err(error) => {
            let said = error.to_string();
            let sentence = said.lines().next().unwrap_or_default();
            Err(sentence.trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(toml: &str, args: &[&str]) -> Result<Options, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), toml).unwrap();
        let path = file.path().display().to_string();
        let all = [&["gateway", "--config", &path], args].concat();
        let all = all.into_iter().map(OsString::from).collect();
        read(all).map_err(|it| it.to_string().replace(&path, "FILE"))
    }

    #[test]
    fn the_file_gives_what_the_command_line_does_not() {
        let toml =
            "upstream = \"https://api.example\"\naccess-ttl = \"5m\"\nproxies = 1\nmetrics = true";
        let options = with(toml, &["--access-ttl", "1m"]).unwrap();
        assert_eq!(options.upstream, "https://api.example");
        assert_eq!(options.access_ttl.to_string(), "1m");
        assert_eq!(
            (options.proxies, options.metrics, options.plain_http),
            (1, true, false)
        );
    }

    #[test]
    fn a_mistake_in_the_file_is_a_sentence_that_names_file_and_key() {
        for (toml, sentence) in [
            ("upsteam = \"x\"", "FILE: `upsteam`: there is no such key"),
            ("config = \"x\"", "FILE: `config`: there is no such key"),
            (
                "access-ttl = \"soon\"",
                "FILE: `access-ttl`: invalid value 'soon'",
            ),
            ("proxies = -1", "FILE: `proxies`: invalid value '-1'"),
            ("metrics = \"yes\"", "FILE: `metrics`: give true or false"),
            (
                "idle = 1.5",
                "FILE: `idle`: give a text in quotes, or a number",
            ),
            ("addr = \"127.0.0.1:0\"\nidle = ", "FILE: line 2 is no TOML"),
        ] {
            let said = with(toml, &["--upstream", "http://127.0.0.1:1"]).unwrap_err();
            assert!(said.starts_with(sentence), "{toml}: {said}");
        }
    }
}
