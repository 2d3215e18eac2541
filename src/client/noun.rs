//! What a curated command is: a noun and a verb, the operation that they call, and what is shown of the answer.

use super::rows::Column;

/// A noun, with everything that can be done with it.
pub struct Noun {
    /// The command.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Its verbs.
    pub verbs: &'static [Verb],
}

/// What can be done with a noun.
pub struct Verb {
    /// The command.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// The operation that it calls.
    pub operation: &'static str,
    /// What it takes.
    pub inputs: &'static [Input],
    /// Fields of the operation that are always the same, by flag.
    pub fixed: &'static [(&'static str, &'static str)],
    /// What it shows.
    pub shows: Shows,
    /// An example of a command line.
    pub example: &'static str,
}

/// An argument or an option of a verb.
pub struct Input {
    /// The name; for an option, without dashes.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The flag of the operation's field that it sets.
    pub field: &'static str,
    /// How its value is read.
    pub reads: Reads,
    /// Whether it must be given, and where.
    pub given: Given,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As it is.
    Text,
    /// Any number of values.
    Texts,
    /// One of the field's choices.
    Choice(&'static [&'static str]),
    /// A role, by its name or number.
    Role,
    /// The time at which something ends: a time, a duration from now, or `never`.
    End,
    /// The time at which something ends: a time, a duration from now, or `never`, which is sent as null.
    EndOrNull,
    /// A duration, sent as a number of seconds.
    Seconds,
    /// A text, or the content of the file that follows `@`.
    File,
    /// A user, by id or email address.
    User,
}

/// Whether a value must be given, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// As an argument.
    Argument,
    /// As an option.
    Required,
    /// As an option, or not at all.
    Optional,
    /// As an option with this default.
    Default(&'static str),
}

/// What a verb shows.
#[derive(Clone, Copy, Debug)]
pub enum Shows {
    /// A list, all pages of it.
    List(&'static [Column]),
    /// One thing.
    One(&'static [Column]),
    /// The item of a list whose field equals an input.
    Item {
        /// The input.
        input: &'static str,
        /// The field.
        field: &'static str,
        /// The columns.
        columns: &'static [Column],
    },
    /// One thing with a secret, which is shown only now.
    Secret {
        /// Where the secret is in the answer.
        pointer: &'static str,
        /// What the secret is called.
        what: &'static str,
        /// The columns of the rest.
        columns: &'static [Column],
    },
    /// Whether a check succeeded: one thing, and exit code 1 if this field is not true.
    Check {
        /// The field.
        field: &'static str,
        /// The columns.
        columns: &'static [Column],
    },
    /// The server's confirmation.
    Message,
}

/// A verb without inputs that shows a confirmation.
pub const fn verb(name: &'static str, about: &'static str, operation: &'static str, example: &'static str) -> Verb {
    Verb { name, about, operation, inputs: &[], fixed: &[], shows: Shows::Message, example }
}

/// An argument that is sent as it is.
pub const fn argument(name: &'static str, help: &'static str, field: &'static str) -> Input {
    Input { name, help, field, reads: Reads::Text, given: Given::Argument }
}

/// An option that is sent as it is.
pub const fn option(name: &'static str, help: &'static str, field: &'static str, given: Given) -> Input {
    Input { name, help, field, reads: Reads::Text, given }
}
