//! The flags of every call to a server.

use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::shared_flags::SharedFlags;
use crate::client::compose::Values;
use crate::client::document::Operation;
use crate::client::failure::{EXIT_CODES, Failure, Outcome};
use crate::client::out_file::OutFile;
use crate::client::output::{self, Format};
use crate::client::request::Request;
use crate::client::rows::Column;
use crate::client::target::{Selection, Target};
use crate::store::files::refuse_reserved;

/// The heading of these flags in `--help`.
const HEADING: &str = "Server and output";

/// What the flags say.
pub struct CallFlags {
    pub selection: Selection,
    /// The chosen format.
    pub format: Option<Format>,
    pub dry_run: bool,
    out: Option<PathBuf>,
    columns: Option<Vec<String>>,
}

/// The flags of every call.
pub fn args() -> [Arg; 6] {
    [
        Arg::new("url").long("url").value_name("URL").help("The server's URL [env: ORGKEYS_URL]"),
        Arg::new("profile").long("profile").value_name("NAME").help("The profile to use: see `orgkeys profile list`"),
        Arg::new("ca")
            .long("ca")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Trust the certificates in this PEM file instead of the system's"),
        Arg::new("org")
            .long("org")
            .value_name("ID")
            .help("The organization, for the server's administrator on its own machine [default: the only one]"),
        Arg::new("output")
            .long("output")
            .short('o')
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(Format::ALL.map(|(name, _)| name)))
            .help("The output format; --json is the same as -o json [default: table on a terminal, tsv in a pipe]"),
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Print the request, with secrets masked, and send nothing"),
    ]
    .map(|arg| arg.help_heading(HEADING))
}

/// The flag for the file that an answer or its secret is written to.
pub fn out_arg(help: &'static str) -> Arg {
    Arg::new("out").long("out").value_name("FILE").value_parser(value_parser!(PathBuf)).help(help).help_heading(HEADING)
}

/// The flag that chooses among the columns of a list.
pub fn columns_arg<'a>(columns: impl Iterator<Item = &'a Column>) -> Arg {
    let names = columns.map(Column::name).collect::<Vec<_>>().join(",");
    Arg::new("columns")
        .long("columns")
        .value_name("NAMES")
        .value_delimiter(',')
        .help(format!("Only these columns of the table or tsv, in this order [default: {names}]"))
        .help_heading(HEADING)
}

/// Adds the exit codes and an example to the end of a command's help.
pub fn explained(command: Command, example: &str) -> Command {
    let mut text = format!("Example:\n  {example}\n\nExit codes:\n");
    for (exit, meaning) in EXIT_CODES {
        // Writing to a string never fails.
        let _ = writeln!(text, "  {:<3}  {meaning}", exit as u8);
    }
    let short = format!("Example:\n  {example}");
    command.after_help(short).after_long_help(text)
}

impl CallFlags {
    /// Reads the flags of the command that was given.
    ///
    /// `shared` are the flags that were given anywhere on the command line.
    pub fn read(matches: &ArgMatches, shared: &SharedFlags) -> Outcome<Self> {
        let text = |name: &str| given::<String>(matches, name);
        let format = text("output").as_deref().and_then(Format::parse);
        let format = match (format, shared.json) {
            (Some(format), true) if format != Format::Json => {
                return Err(Failure::usage("--json and --output name different formats: leave out one of them"));
            }
            (None, true) => Some(Format::Json),
            (format, _) => format,
        };
        let selection = Selection {
            url: text("url"),
            profile: text("profile"),
            ca: given(matches, "ca"),
            org: text("org"),
            is_local: shared.database.is_some() || shared.config.is_some(),
        };
        let columns = matches.try_get_many::<String>("columns").ok().flatten().map(|names| names.cloned().collect());
        let dry_run = given(matches, "dry-run").unwrap_or(false);
        Ok(Self { selection, format, dry_run, out: given(matches, "out"), columns })
    }

    /// The chosen format, else a table on a terminal and tab-separated values in a pipe.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_else(Format::usual)
    }

    /// Whether `--columns` was given.
    pub const fn chooses_columns(&self) -> bool {
        self.columns.is_some()
    }

    /// Returns the items of a list's columns that `--columns` names, or all.
    pub fn chosen<T: Copy>(&self, all: &[T], column: impl Fn(&T) -> Column) -> Outcome<Vec<T>> {
        let Some(names) = &self.columns else { return Ok(all.to_vec()) };
        if matches!(self.format(), Format::Json | Format::Jsonl) {
            return Err(Failure::usage("--columns is for a table or tsv: in JSON, a row always has all of its fields"));
        }
        let known = || all.iter().map(|item| column(item).name()).collect::<Vec<_>>().join(", ");
        let find = |name: &String| all.iter().find(|item| column(item).name() == *name).copied();
        let find = |name| {
            find(name).ok_or_else(|| {
                Failure::usage(format!("there is no column {name}: the columns of this list are {}", known()))
            })
        };
        names.iter().map(find).collect()
    }

    /// Returns whether `--out` was given.
    pub const fn has_out(&self) -> bool {
        self.out.is_some()
    }

    /// Creates the file that `--out` names.
    pub fn out_file(&self) -> Outcome<Option<OutFile>> {
        let Some(path) = self.out.as_deref() else { return Ok(None) };
        refuse_reserved(path).map_err(|error| Failure::usage(error.to_string()))?;
        OutFile::create(path).map(Some)
    }
}

/// Returns the subcommand that was given, which clap requires.
pub fn chosen(matches: &ArgMatches) -> Outcome<(&str, &ArgMatches)> {
    matches.subcommand().ok_or_else(|| Failure::usage("name a command: see --help"))
}

/// Returns the value of a flag that not every command has.
fn given<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.try_get_one::<T>(name).ok().flatten().cloned()
}

/// Sets the organization from the profile, if an operation takes one, and none was given.
pub fn fill_organization(operation: &Operation, values: &mut Values, known: Option<&str>) {
    if let (Some(field), Some(known)) = (operation.organization(), known)
        && !values.has(&field.flag)
    {
        values.set(&field.flag, vec![known.to_owned()]);
    }
}

/// Prints a request instead of sending it.
pub fn show_request(target: &Target, request: &Request) -> Outcome<()> {
    output::say(target.addressed(request).shown(&target.server, target.masked_credential()).trim_end())
}
