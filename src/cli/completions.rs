//! `orgkeys completions` and `orgkeys man`: what shells and `man` know of the commands, from the same tree as the help.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Command, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::say;
use super::{CommandError, interrupt};
use crate::store::files;
use crate::store::unfinished::Unfinished;

/// How much of a file is read to see whether it is one of our manual pages, in bytes.
const HEAD: u64 = 256;

#[derive(clap::Args)]
pub struct Completions {
    /// The shell for which to print completions
    shell: Shell,
}

#[derive(clap::Args)]
pub struct ManPages {
    /// The directory for the pages, such as /usr/local/share/man/man1; older pages of orgkeys are replaced
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

impl Completions {
    pub fn run(&self, mut command: Command) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "orgkeys", &mut script);
        let script = String::from_utf8(script)?;
        let script = if self.shell == Shell::Bash { with_paths(&script, &command) } else { script };
        say(script.trim_end())
    }
}

/// Makes bash complete a command's file where it would offer only flags.
fn with_paths(script: &str, command: &Command) -> String {
    let paths = taking_paths(command, "orgkeys").join("|");
    let begin = "    case \"${cmd}\" in\n";
    let files = format!(
        "    case \"${{cmd}}\" in\n        {paths})\n            [[ ${{cur}} == -* || ${{prev}} == -* ]] || return 0\n            ;;\n    esac\n\n"
    );
    script.replacen(begin, &format!("{files}{begin}"), 1)
}

/// The commands whose first argument is a path, as the script for bash names them.
fn taking_paths(command: &Command, name: &str) -> Vec<String> {
    let takes_path =
        |arg: &clap::Arg| matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath);
    let own = command.get_positionals().any(takes_path).then(|| name.to_owned());
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| {
        taking_paths(below, &format!("{name}__subcmd__{}", below.get_name().replace('-', "__subcmd__")))
    });
    own.into_iter().chain(below).collect()
}

impl ManPages {
    pub fn run(&self, command: Command) -> Result<(), CommandError> {
        interrupt::clean_up()?;
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let pages = pages(&command)?;
        for (name, _) in &pages {
            refuse_foreign(&self.folder.join(name))?;
        }
        for (name, text) in &pages {
            write_page(&self.folder.join(name), text)?;
        }
        Ok(())
    }
}

/// The names and the texts of the pages of a command and of all commands below it.
fn pages(command: &Command) -> Result<Vec<(String, String)>, CommandError> {
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text)?.replace(".SH EXTRA\n", ".SH EXAMPLE\n").replace("Example:\n", "");
    let mut all = vec![(page.get_filename(), text)];
    for below in command.get_subcommands() {
        all.extend(pages(below)?);
    }
    Ok(all)
}

/// Refuses to replace a file that is not one of our manual pages.
fn refuse_foreign(path: &Path) -> Result<(), CommandError> {
    if !files::exists(path)? {
        return Ok(());
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_ok() && String::from_utf8_lossy(&head).contains("\n.TH orgkeys") {
        return Ok(());
    }
    let path = path.display();
    Err(CommandError::new(format!("{path} exists and is not a manual page of orgkeys: name another directory")))
}

fn write_page(path: &Path, text: &str) -> Result<(), CommandError> {
    let fail = |error: &dyn std::fmt::Display| CommandError::new(format!("{}: {error}", path.display()));
    let (draft, mut file) = Unfinished::create_for(path).map_err(|error| fail(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| fail(&error))?;
    files::fit_in(&file, path).map_err(|error| fail(&error))?;
    // Everybody may read it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(draft.finish(|draft| files::rename(draft, path))?)
}
