//! The curated commands, from their table in `client/nouns`.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::flags::{CallFlags, args, columns_arg, explained, fill_organization, out_arg, show_request};
use super::{Context, block_on};
use crate::client::compose::{Values, compose};
use crate::client::document::{Document, Operation};
use crate::client::failure::{Exit, Failure, Outcome};
use crate::client::input::read_source;
use crate::client::noun::{Given, Input, Noun, Reads, Shows, Verb};
use crate::client::out_file::OutFile;
use crate::client::output::{self, Format, note};
use crate::client::rows::{self, Column, cell};
use crate::client::session::Client;
use crate::domain::role::Role;
use crate::domain::time::{Time, parse_duration};
use crate::server::clock;

/// The command of a noun.
pub fn noun(noun: &Noun) -> Command {
    let command = Command::new(noun.name).about(noun.about).subcommand_required(true).arg_required_else_help(true);
    noun.verbs.iter().fold(command, extend)
}

/// Adds a verb to a noun that may have other commands.
pub fn extend(noun: Command, verb: &Verb) -> Command {
    let add = |command: Command| {
        let is_new = |arg: &Arg| command.get_arguments().all(|own| own.get_id() != arg.get_id());
        let calling: Vec<Arg> = args().into_iter().filter(is_new).collect();
        let command = command.args(verb.inputs.iter().map(arg)).args(calling);
        match verb.shows {
            Shows::List(columns) => command.arg(columns_arg(columns.iter())),
            Shows::Secret { .. } => command.arg(out_arg("Write the secret to this new file, with mode 0600")),
            _ => command,
        }
    };
    if let Some(local) = noun.find_subcommand(verb.name) {
        let examples = local.get_after_help().map(|help| help.to_string().replace("Example:\n  ", ""));
        let examples = examples.into_iter().chain([verb.example.to_owned()]).collect::<Vec<_>>();
        return noun.mut_subcommand(verb.name, |command| explained(add(command), &examples.join("\n  ")));
    }
    noun.subcommand(explained(add(Command::new(verb.name).about(verb.about)), verb.example))
}

fn arg(input: &Input) -> Arg {
    let arg = Arg::new(input.name).help(input.help).allow_negative_numbers(true);
    let value = input.name.to_uppercase().replace('-', "_");
    let arg = match input.given {
        Given::Argument => arg.required(true).value_name(value),
        Given::Required => arg.long(input.name).required(true).value_name(value),
        Given::Optional => arg.long(input.name).value_name(value),
        Given::Default(default) => arg.long(input.name).value_name(value).default_value(default),
    };
    match input.reads {
        Reads::Texts => arg.action(ArgAction::Append),
        Reads::Choice(choices) => arg.value_parser(PossibleValuesParser::new(choices)),
        _ => arg,
    }
}

/// Runs the command.
pub fn run(context: &Context<'_>, verb: &Verb, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let document = Document::of_this_program();
    let operation = document.operation(verb.operation)?;
    let mut values = values(verb, matches)?;
    if has_own_key(verb, matches) && flags.has_out() {
        return Err(Failure::usage("the server makes no private key for your own --public-key: leave out --out"));
    }
    if let Shows::List(columns) = verb.shows {
        flags.chosen(columns, |column| *column)?;
    }
    let mut client = context.client(&flags, document)?;
    if flags.dry_run {
        fill_organization(&operation, &mut values, client.target.organization.as_deref());
        show_request(&client.target, &compose(&operation, &values, None)?)?;
        return Ok(Exit::Done);
    }
    values.read_secrets(&operation)?;
    let mut out = flags.out_file()?;
    block_on(async {
        if let Some(input) = verb.inputs.iter().find(|input| input.reads == Reads::User) {
            let id = user_id(&mut client, text(matches, input.name)).await?;
            values.set(input.field, vec![id]);
        }
        if operation.organization().is_some() {
            let organization = client.organization().await?;
            fill_organization(&operation, &mut values, Some(&organization));
        }
        let found = match verb.shows {
            Shows::List(_) => Value::from(pages(&mut client, &operation, values).await?),
            _ => client.call(&compose(&operation, &values, None)?).await?.json()?,
        };
        show(&flags, verb, matches, found, out.take())
    })
}

/// Returns whether the caller brings the public key of what is made, so that the answer contains no private key.
fn has_own_key(verb: &Verb, matches: &ArgMatches) -> bool {
    verb.inputs.iter().any(|input| input.field == "publicKey" && matches.contains_id(input.name))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// Returns the values of the operation's fields.
fn values(verb: &Verb, matches: &ArgMatches) -> Outcome<Values> {
    let mut values = Values::default();
    for (field, value) in verb.fixed {
        values.set(field, vec![(*value).to_owned()]);
    }
    for input in verb.inputs.iter().filter(|input| !input.field.is_empty()) {
        let Some(given) = matches.get_many::<String>(input.name) else { continue };
        let given: Vec<String> = given.cloned().collect();
        let last = given.last().cloned().unwrap_or_default();
        let wrong = |takes: &str| Failure::usage(format!("{} must be {takes}", input.name));
        let value = match input.reads {
            Reads::Texts => given,
            Reads::Text | Reads::Choice(_) | Reads::User => vec![last],
            Reads::Role => {
                let role =
                    Role::parse(&last).ok_or_else(|| wrong("USER, BILLING, WORKSPACES, ADMINISTRATOR or OWNER"))?;
                vec![role.number().to_string()]
            }
            Reads::Seconds => {
                let span = parse_duration(&last).ok_or_else(|| wrong("a duration such as 24h"))?;
                vec![span.as_secs().to_string()]
            }
            Reads::End if last == "never" => {
                values.set("userApiKey.hasExpireTime", vec!["false".to_owned()]);
                continue;
            }
            Reads::EndOrNull if last == "never" => {
                values.set_null(input.field);
                continue;
            }
            Reads::End | Reads::EndOrNull => {
                vec![end(&last).ok_or_else(|| wrong("a time (RFC 3339), a duration such as 90d, or never"))?]
            }
            Reads::File => match read_source(&last).transpose()? {
                Some(bytes) => vec![String::from_utf8(bytes).map_err(|_| wrong("a file that contains text"))?],
                None => vec![last],
            },
        };
        values.set(input.field, value);
    }
    Ok(values)
}

/// Returns the time that a text means: a time, or a duration from now.
fn end(text: &str) -> Option<String> {
    let time = Time::parse_rfc3339(text).or_else(|| Some(clock::system().now().plus(parse_duration(text)?)))?;
    Some(time.to_string())
}

/// Returns every page of a list.
async fn pages(client: &mut Client<'_>, operation: &Operation, mut values: Values) -> Outcome<Vec<Value>> {
    let limit = |name: &str| operation.field(name).and_then(|field| field.maximum);
    let (Some(take), Some(furthest)) = (limit("take"), limit("skip")) else {
        return Ok(rows::rows(&client.call(&compose(operation, &values, None)?).await?.json()?));
    };
    let mut all = Vec::new();
    loop {
        let skip = all.len() as u64;
        if skip > furthest {
            note(&format!("orgkeys: only the first {skip} are shown, which is as far as the server lists them"));
            return Ok(all);
        }
        values.set("take", vec![take.to_string()]);
        values.set("skip", vec![skip.to_string()]);
        let page = rows::rows(&client.call(&compose(operation, &values, None)?).await?.json()?);
        let is_last = (page.len() as u64) < take;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Returns the id of a user who is named by an id or an email address.
async fn user_id(client: &mut Client<'_>, text: &str) -> Outcome<String> {
    if !text.contains('@') {
        return Ok(text.to_owned());
    }
    let operation = client.document.operation("listUsers")?;
    let users = pages(client, &operation, Values::default()).await?;
    let found = users.iter().find(|user| user["email"].as_str().is_some_and(|email| email.eq_ignore_ascii_case(text)));
    let id = found.and_then(|user| user["id"].as_str());
    id.map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("your organization has no user {text}: see `orgkeys user list`"))
    })
}

/// Shows what was found or done.
fn show(flags: &CallFlags, verb: &Verb, matches: &ArgMatches, found: Value, out: Option<OutFile>) -> Outcome<Exit> {
    let format = flags.format();
    match verb.shows {
        Shows::List(columns) => {
            output::show(format, &rows::rows(&found), &flags.chosen(columns, |column| *column)?, true)?;
        }
        Shows::One(columns) => output::show(format, &rows::rows(&found), columns, false)?,
        Shows::Item { input, field, columns } => {
            let id = text(matches, input);
            let found = rows::rows(&found).into_iter().find(|row| row[field].as_str() == Some(id));
            let found = found.ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("your organization has nothing with the id {id}: see the list"))
            })?;
            output::show(format, &[found], columns, false)?;
        }
        Shows::Check { field, columns } => {
            let found = rows::payload(&found).clone();
            let is_valid = found[field] == true;
            output::show(format, &[found], columns, false)?;
            return Ok(if is_valid { Exit::Done } else { Exit::Refused });
        }
        Shows::Secret { columns, .. } if has_own_key(verb, matches) => {
            output::show(format, &rows::rows(&found), columns, false)?;
        }
        Shows::Secret { pointer, what, columns } => show_secret(format, found, pointer, what, columns, out)?,
        Shows::Message => match format {
            Format::Json | Format::Jsonl => output::show(format, &[found], &[], false)?,
            Format::Table | Format::Tsv => output::say(&crate::client::text::one_line(rows::message(&found)))?,
        },
    }
    Ok(Exit::Done)
}

/// Shows what was made, and writes its secret to the file, or to standard output alone so that scripts can read it.
fn show_secret(
    format: Format,
    mut made: Value,
    pointer: &str,
    what: &str,
    columns: &[Column],
    out: Option<OutFile>,
) -> Outcome<()> {
    let secret = rows::take_text(&mut made, pointer);
    let secret = secret.ok_or_else(|| Failure::no_answer(format!("the answer contains no {what}")))?;
    let mut row = rows::payload(&made).clone();
    let told = columns.iter().map(|column| (column.title.to_lowercase(), cell(&row, column)));
    let told: Vec<String> =
        told.filter(|(_, cell)| !cell.is_empty()).map(|(title, cell)| format!("{title} {cell}")).collect();
    let told = told.join(", ");
    let Some(out) = out else {
        if matches!(format, Format::Json | Format::Jsonl) {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            row[name] = secret.into();
            return output::show(format, &[row], &[], false);
        }
        return print_secret(&secret, what, &told);
    };
    let path = out.path().display().to_string();
    let content = if secret.ends_with('\n') { secret.clone() } else { format!("{secret}\n") };
    if let Err(error) = out.keep(content.as_bytes()) {
        print_secret(&secret, what, &told)?;
        let why = format!("cannot write {path} ({error}): the {what} was printed instead");
        return Err(Failure::new(Exit::Refused, why));
    }
    note(&format!("{path} holds the {what}, which is not shown again"));
    output::show(format, &[row], columns, false)
}

/// Prints a secret alone, and what it belongs to on standard error.
fn print_secret(secret: &str, what: &str, told: &str) -> Outcome<()> {
    if let Err(error) = output::say_secret(secret) {
        let why = output::not_written(&error);
        let why = format!("{why}. The {what} is lost: delete it and create another ({told})");
        return Err(Failure::new(Exit::Refused, why));
    }
    note(&format!("{told}: this {what} is shown only once"));
    Ok(())
}
