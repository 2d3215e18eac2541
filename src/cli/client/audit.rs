//! `orgkeys audit list` and `tail`: the audit log and the event stream of a server.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::flags::{CallFlags, args, columns_arg, explained, show_request};
use super::{Context, block_on};
use crate::client::compose::{Values, compose};
use crate::client::document::Document;
use crate::client::failure::{Exit, Failure, Outcome};
use crate::client::follow::{Told, follow};
use crate::client::output::{self, Format, note};
use crate::client::request::Request;
use crate::client::rows::{self, Column, Show, plain, shown};
use crate::client::session::Client;

/// Entries that `list` shows if nothing is said.
const USUAL: u64 = 50;

/// Entries of one page.
const PAGE: u64 = 1_000;

/// The columns of `list`.
const ENTRY: [Column; 7] = [
    plain("SEQ", "seq"),
    shown("TIME", "at", Show::Millis),
    plain("ACTOR", "actorId"),
    plain("ACTION", "action"),
    plain("ABOUT", "contextId"),
    plain("OUTCOME", "outcome"),
    plain("ADDRESS", "address"),
];

/// The columns of `tail`, each with its width on a terminal.
const EVENT: [(Column, usize); 6] = [
    (plain("ID", "id"), 7),
    (plain("TIME", "timestamp"), 24),
    (plain("EVENT", "event"), 7),
    (plain("OBJECT", "context"), 13),
    (plain("ABOUT", "contextId"), 44),
    (plain("USER", "userName"), 0),
];

/// Adds the commands that call a server.
pub fn extend(audit: Command) -> Command {
    let number = |name: &'static str| Arg::new(name).long(name).value_parser(value_parser!(u64));
    let list = Command::new("list")
        .about("List entries of a server's audit log, oldest first")
        .long_about(
            "List entries of a server's audit log, oldest first: the last 50, or all after --after. With -o jsonl, the output is \
             that of `orgkeys audit export`, which `orgkeys audit verify --file` verifies.",
        )
        .arg(number("after").value_name("SEQ").help("List the entries after this number of the chain; 0 lists all"))
        .arg(number("limit").value_name("COUNT").help("List at most so many entries"))
        .args(args())
        .arg(columns_arg(ENTRY.iter()));
    let tail = Command::new("tail")
        .about("Show the last events of an organization, and follow what happens")
        .arg(
            Arg::new("follow")
                .long("follow")
                .short('f')
                .action(ArgAction::SetTrue)
                .help("Wait for further events; reconnects and resumes by itself"),
        )
        .arg(
            Arg::new("lines")
                .long("lines")
                .short('n')
                .value_name("COUNT")
                .value_parser(value_parser!(u64).range(0..=100))
                .default_value("10")
                .help("Begin with so many past events, at most 100"),
        )
        .arg(
            number("after")
                .value_name("ID")
                .requires("follow")
                .help("Begin after this event, without a gap; 0 is the oldest"),
        )
        .args(args())
        .arg(columns_arg(EVENT.iter().map(|(column, _)| column)));
    let audit = audit.about("List and follow a server's audit log; verify and export that of the local database");
    audit
        .subcommand(explained(list, "orgkeys audit list --limit 20"))
        .subcommand(explained(tail, "orgkeys audit tail -f"))
}

/// Runs one of the commands; `None` if the command line has one that works on the local database.
pub fn run(context: &Context<'_>, matches: &ArgMatches) -> Option<Outcome<Exit>> {
    match matches.subcommand()? {
        ("list", matches) => Some(list(context, matches)),
        ("tail", matches) => Some(tail(context, matches)),
        _ => None,
    }
}

fn list(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let columns = flags.chosen(&ENTRY, |column| *column)?;
    let (after, limit) = (matches.get_one::<u64>("after").copied(), matches.get_one::<u64>("limit").copied());
    let document = Document::of_this_program();
    let mut client = context.client(&flags, document)?;
    if flags.dry_run {
        let first = limit.unwrap_or(if after.is_some() { PAGE } else { USUAL }).min(PAGE);
        show_request(&client.target, &page(&client, after.unwrap_or(0), first)?)?;
        return Ok(Exit::Done);
    }
    block_on(async {
        client.organization().await?;
        let (mut after, limit) = if let Some(after) = after {
            (after, limit)
        } else {
            let limit = limit.unwrap_or(USUAL);
            (last(&mut client).await?.saturating_sub(limit), Some(limit))
        };
        let (mut left, mut end, mut all) = (limit.unwrap_or(u64::MAX), None, Vec::new());
        let format = flags.format();
        loop {
            let size = left.min(PAGE);
            if size == 0 {
                break;
            }
            let answer = client.call(&page(&client, after, size)?).await?.json()?;
            let entries = rows::rows(&answer);
            // Reading adds entries, too: only those that were there at the beginning are listed.
            let end = *end.get_or_insert_with(|| answer["last"].as_u64().unwrap_or(u64::MAX));
            let Some(newest) = entries.last().and_then(|entry| entry["seq"].as_u64()) else { break };
            left -= (entries.len() as u64).min(left);
            after = newest;
            if matches!(format, Format::Jsonl | Format::Tsv) {
                output::show(format, &entries, &columns, true)?;
            } else {
                all.extend(entries);
            }
            if newest >= end {
                break;
            }
        }
        if matches!(format, Format::Json | Format::Table) {
            output::show(format, &all, &columns, true)?;
        }
        Ok(Exit::Done)
    })
}

/// Returns the number of the last entry.
async fn last(client: &mut Client<'_>) -> Outcome<u64> {
    let mut values = Values::default();
    values.set("orgId", vec![client.organization().await?]);
    let head = client.operate("getAuditHead", &values).await?.json()?;
    head["seq"].as_u64().ok_or_else(|| Failure::no_answer("the server did not say where the audit log ends"))
}

/// The request for one page of the audit log.
fn page(client: &Client<'_>, after: u64, limit: u64) -> Outcome<Request> {
    let mut values = Values::default();
    if let Some(organization) = &client.target.organization {
        values.set("orgId", vec![organization.clone()]);
    }
    values.set("after", vec![after.to_string()]);
    values.set("limit", vec![limit.to_string()]);
    compose(&client.document.operation("listAuditEntries")?, &values, None)
}

fn tail(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let follows = matches.get_flag("follow");
    if follows && flags.format == Some(Format::Json) {
        return Err(Failure::usage("-o json needs an end, which -f has not: use -o jsonl"));
    }
    let columns = flags.chosen(&EVENT, |(column, _)| *column)?;
    let lines = matches.get_one::<u64>("lines").copied().unwrap_or_default();
    let after = matches.get_one::<u64>("after").copied();
    let document = Document::of_this_program();
    let mut client = context.client(&flags, document)?;
    if flags.dry_run {
        let request = if follows { stream(&client, after)? } else { past(&client, lines)? };
        show_request(&client.target, &request)?;
        return Ok(Exit::Done);
    }
    let format = flags.format();
    block_on(async {
        client.organization().await?;
        let mut after = after;
        if after.is_none() && lines > 0 {
            let events = rows::rows(&client.call(&past(&client, lines)?).await?.json()?);
            after = events.first().map_or(Some(0), |newest| newest["id"].as_u64());
            let events: Vec<Value> = events.into_iter().rev().collect();
            if follows {
                events.iter().try_for_each(|event| output::show_next(format, event, &columns))?;
            } else {
                let columns: Vec<Column> = columns.iter().map(|(column, _)| *column).collect();
                output::show(format, &events, &columns, true)?;
            }
        }
        if !follows {
            return Ok(Exit::Done);
        }
        let request = stream(&client, after)?;
        Err(follow(&mut client, request, |told| {
            match told {
                Told::Event(event) => output::show_next(format, event, &columns)?,
                Told::Lost(why) => note(&format!("orgkeys: {why}. Reconnecting")),
                Told::Back => note("orgkeys: connected again"),
            }
            Ok(())
        })
        .await)
    })
}

/// The request for the last events.
fn past(client: &Client<'_>, lines: u64) -> Outcome<Request> {
    let body = json!({ "from_timestamp": "1970-01-01T00:00:00Z", "take": lines.max(1) });
    compose(&client.document.operation("listSystemEvents")?, &Values::default(), Some(body.to_string().into_bytes()))
}

/// The request that opens the stream.
fn stream(client: &Client<'_>, after: Option<u64>) -> Outcome<Request> {
    let mut values = Values::default();
    if let Some(organization) = &client.target.organization {
        values.set("orgId", vec![organization.clone()]);
    }
    if let Some(after) = after {
        values.set("Last-Event-ID", vec![after.to_string()]);
    }
    compose(&client.document.operation("streamEvents")?, &values, None)
}
