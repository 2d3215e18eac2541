//! `orgkeys api`: every operation of the API, with the commands and their help from the OpenAPI document.

use std::fmt::Write;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::flags::{CallFlags, args, chosen, explained, fill_organization, out_arg, show_request};
use super::{Context, block_on};
use crate::client::answer::Answer;
use crate::client::compose::{Values, compose};
use crate::client::document::{Body, Document, Field, Kind, Operation, Place};
use crate::client::failure::{Exit, Failure, Outcome};
use crate::client::input::read_source;
use crate::client::out_file::OutFile;
use crate::client::output::{self, Format, note};
use crate::client::session::{Opened, Streamed};
use crate::client::text::lines;

/// How long a stream may be silent.
const SILENCE: std::time::Duration = std::time::Duration::from_mins(10);

/// The command with these operations.
pub fn command(operations: &[Operation]) -> Command {
    let command = Command::new("api")
        .about("Call any operation of the API by its operationId")
        .long_about(
            "Call any operation of the API by its operationId. Parameters and fields of the body are flags with the names that \
             the API uses. The organization is yours unless you name another. The answer is printed as the server sent it.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name("OPERATION")
        .subcommand_help_heading("Operations")
        .args(args().map(|arg| arg.global(true)))
        .arg(out_arg("Write the answer to this new file, with mode 0600").global(true))
        .arg(
            Arg::new("include")
                .long("include")
                .short('i')
                .action(ArgAction::SetTrue)
                .help("Print the status and the headers, too")
                .global(true),
        )
        .mut_arg("output", |arg| arg.help("The output format [default: json, as the server sent it]"));
    let command = explained(command, "orgkeys api listNodes --take 20");
    command.subcommands(operations.iter().map(self::operation))
}

fn operation(operation: &Operation) -> Command {
    let command = Command::new(operation.id.clone())
        .about(plain(&operation.summary))
        .long_about(format!(
            "{}\n\n{}\n\n{} {}",
            plain(&operation.summary),
            plain(&operation.description),
            operation.method,
            operation.path
        ))
        .args(operation.fields.iter().map(field));
    let command = match operation.body {
        Body::None => command,
        Body::Optional | Body::Required => command.arg(
            Arg::new("body")
                .long("body")
                .value_name("JSON")
                .help("The whole body: JSON, @FILE, or @- for standard input")
                .help_heading("Body"),
        ),
    };
    explained(command, &format!("orgkeys api {} {}", operation.id, example(operation)))
}

/// The flag of a field.
fn field(field: &Field) -> Arg {
    let in_body = field.place == Place::Body;
    let arg = Arg::new(format!("field:{}", field.flag))
        .long(field.flag.clone())
        .help(plain(&field.description))
        .help_heading(if in_body { "Body" } else { "Parameters" })
        .allow_negative_numbers(true)
        .value_name(value_name(&field.kind));
    let arg = match &field.kind {
        Kind::Choice(choices) => arg.value_parser(PossibleValuesParser::new(choices)),
        Kind::Boolean => arg.value_parser(["true", "false"]),
        Kind::List(_) => arg.action(ArgAction::Append),
        Kind::Text | Kind::Integer | Kind::Secret | Kind::SecretText => arg,
    };
    match (in_body, field.required) {
        (true, true) => arg.required_unless_present("body").conflicts_with("body"),
        (true, false) => arg.conflicts_with("body"),
        (false, required) => arg.required(required),
    }
}

fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Choice(_) => "TEXT",
        Kind::Integer => "NUMBER",
        Kind::Boolean => "BOOLEAN",
        Kind::List(_) => "VALUE",
        Kind::Secret | Kind::SecretText => "@FILE",
    }
}

/// The flags that an operation needs, as an example.
fn example(operation: &Operation) -> String {
    let needed = operation.fields.iter().filter(|field| field.required);
    let flags = needed.map(|field| {
        let value = match &field.kind {
            Kind::Choice(choices) => choices.first().map_or("TEXT", String::as_str),
            Kind::Boolean => "true",
            kind => value_name(kind),
        };
        format!("--{} {value}", field.flag)
    });
    flags.collect::<Vec<_>>().join(" ")
}

/// Text of the document without its marks.
fn plain(text: &str) -> String {
    text.replace('`', "").replace("**", "")
}

/// Runs the command.
pub fn run(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let include = matches.get_flag("include");
    let (id, matches) = chosen(matches)?;
    let document = Document::of_this_program();
    let operation = document.operation(id)?;
    let mut values = values(&operation, matches);
    let mut client = context.client(&flags, document)?;
    if flags.dry_run {
        fill_organization(&operation, &mut values, client.target.organization.as_deref());
        let request = compose(&operation, &values, raw(&operation, matches)?)?;
        show_request(&client.target, &request)?;
        return Ok(Exit::Done);
    }
    // Everything is read and checked before anything is sent.
    let raw = raw(&operation, matches)?;
    values.read_secrets(&operation)?;
    compose(&operation, &values, raw.clone())?;
    let out = flags.out_file()?;
    block_on(async {
        if operation.organization().is_some_and(|field| !values.has(&field.flag)) {
            let organization = client.organization().await?;
            fill_organization(&operation, &mut values, Some(&organization));
        }
        let request = compose(&operation, &values, raw)?;
        let answer = if operation.is_stream {
            match client.open(&request).await? {
                Opened::Stream(stream) => return pass_on(stream).await,
                Opened::Answer(answer) => answer,
            }
        } else {
            client.send(&request).await?
        };
        show(&flags, include, out, answer)
    })
}

/// Returns the values of the operation's flags.
fn values(operation: &Operation, matches: &ArgMatches) -> Values {
    let mut values = Values::default();
    for field in &operation.fields {
        if let Some(given) = matches.get_many::<String>(&format!("field:{}", field.flag)) {
            values.set(&field.flag, given.cloned().collect());
        }
    }
    values
}

/// Returns the body that `--body` names.
fn raw(operation: &Operation, matches: &ArgMatches) -> Outcome<Option<Vec<u8>>> {
    let given = if operation.body == Body::None { None } else { matches.get_one::<String>("body") };
    given.map(|value| read_source(value).unwrap_or_else(|| Ok(value.clone().into_bytes()))).transpose()
}

/// Shows an answer. A refusal is printed, too, so that scripts can read it.
fn show(flags: &CallFlags, include: bool, out: Option<OutFile>, answer: Answer) -> Outcome<Exit> {
    let format = flags.format.unwrap_or(Format::Json);
    if include {
        output::say(&head(&answer))?;
    }
    if !(200..300).contains(&answer.status) {
        if format == Format::Json || format == Format::Jsonl {
            output::pass_on(&answer)?;
        }
        return answer.accepted().map(|_| Exit::Done);
    }
    match out {
        None => output::show_answer(format, &answer)?,
        Some(out) => {
            let path = out.path().display().to_string();
            if let Err(error) = out.keep(&answer.body) {
                output::pass_on(&answer)?;
                let why = format!("cannot write {path} ({error}): the answer was printed instead");
                return Err(Failure::new(Exit::Refused, why));
            }
            note(&format!("{path} holds the answer"));
        }
    }
    Ok(Exit::Done)
}

/// The status and the headers, as HTTP writes them, and an empty line.
fn head(answer: &Answer) -> String {
    let mut text = format!("HTTP/1.1 {}\n", answer.status);
    for (name, value) in &answer.headers {
        // Writing to a string never fails.
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    lines(&text)
}

/// Prints a stream as it arrives, until one side ends it.
async fn pass_on(mut stream: Streamed) -> Outcome<Exit> {
    while let Some(piece) = stream.piece(SILENCE).await? {
        output::pass_piece(&piece)?;
    }
    Ok(Exit::Done)
}
