//! The names of a setting on the command line, in the environment and in a file, and the flags of a command.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::value::PathKind;
use super::{FIELDS, Field};

/// Names and texts: of the environment's variables, or of a file's keys.
pub type Texts = HashMap<String, String>;

/// The settings given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags(Texts);

impl Flags {
    /// A setting, as if it had been given on the command line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.0.get(name)
    }
}

/// The settings that a command takes as flags. `--database` is not among them: every command can take it, before or
/// after its name.
pub trait Takes {
    /// Whether the command uses this setting.
    fn takes(name: &str) -> bool;
}

/// The flags of a command that uses every setting.
#[derive(Clone, Copy, Debug)]
pub enum AllSettings {}

impl Takes for AllSettings {
    fn takes(_: &str) -> bool {
        true
    }
}

/// The flags of a command that uses the settings of `T`.
#[derive(Clone, Debug)]
pub struct FlagsOf<T> {
    /// What the command line says.
    pub flags: Flags,
    takes: PhantomData<T>,
}

impl<T: Takes> FlagsOf<T> {
    fn fields() -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().filter(|field| field.name != "database" && T::takes(field.name))
    }
}

impl<T: Takes> FromArgMatches for FlagsOf<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found = Self { flags: Flags::default(), takes: PhantomData };
        found.update_from_arg_matches(matches)?;
        Ok(found)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for name in Self::fields().map(Field::flag_key) {
            if let Some(value) = matches.get_one::<String>(&name) {
                self.flags.0.insert(name, value.clone());
            }
        }
        Ok(())
    }
}

impl<T: Takes> Args for FlagsOf<T> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::fields().map(Field::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Reads a text, and tells completions and help which texts are meant. What is not among them is refused later, by the
/// one place that also reads files and variables.
#[derive(Clone, Copy, Debug)]
pub struct Choices(pub &'static [&'static str]);

impl TypedValueParser for Choices {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|text| PossibleValue::new(*text))))
    }
}

/// Older names of settings, which still work.
const ALIASES: [(&str, &str); 1] = [("max", "org_keys_max")];

impl Field {
    /// The keys that set it in a file: its name and, for a secret, the key for the path of a file that contains it.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let file = self.secret.then(|| format!("{}_file", self.name));
        [self.name.to_owned()].into_iter().chain(file).collect()
    }

    /// The variables that set it, in the order of its keys.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        self.keys().iter().map(|key| variable(key)).collect()
    }

    /// The flag that sets it, with its dashes; for a secret, the flag for the path of a file that contains it.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.flag_key().replace('_', "-"))
    }

    /// The same as an argument of a command.
    #[must_use]
    pub fn arg(&self) -> Arg {
        let name = self.flag_key();
        let [help, long_help] = self.help();
        let before = ALIASES.iter().filter(|(_, now)| *now == name).map(|(alias, _)| *alias);
        let (value_name, hint) = match self.path() {
            Some(PathKind::File) => ("FILE", ValueHint::FilePath),
            Some(PathKind::Directory) => ("DIR", ValueHint::DirPath),
            None => ("VALUE", ValueHint::Other),
        };
        let arg = Arg::new(name.clone())
            .long(name.replace('_', "-"))
            .aliases(before)
            .value_name(value_name)
            .help(help)
            .long_help(long_help)
            .help_heading(self.group);
        match self.choices {
            [] => arg.value_hint(hint),
            choices => arg.value_parser(Choices(choices)),
        }
    }

    /// What its flag takes the path of, if it takes a path.
    fn path(&self) -> Option<PathKind> {
        if self.secret { Some(PathKind::File) } else { self.path }
    }

    fn flag_key(&self) -> String {
        if self.secret { format!("{}_file", self.name) } else { self.name.to_owned() }
    }

    /// Every name of a setting: its keys and its older names.
    pub(super) fn names(&self) -> Vec<String> {
        let before = ALIASES.iter().filter(|(_, name)| *name == self.name).map(|(alias, _)| (*alias).to_owned());
        self.keys().into_iter().chain(before).collect()
    }

    /// The short and the long help of its flag.
    fn help(&self) -> [String; 2] {
        let file = if self.secret { " This flag names the file that contains it." } else { "" };
        let default = if self.default.is_empty() { String::new() } else { format!(" [default: {}]", self.default) };
        let variable = variable(&self.flag_key());
        [self.summary.to_owned(), format!("{} {}", self.summary, self.details)].map(|text| {
            let text = text.trim_end().replace('`', "");
            format!("{text}{file} [env: {variable}]{default}")
        })
    }
}

/// The name of the environment variable for a key.
pub(super) fn variable(name: &str) -> String {
    format!("ORGKEYS_{}", name.to_uppercase())
}
