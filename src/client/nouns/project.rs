//! The calls of `project`.

use super::super::noun::{Shows, Verb, argument, verb};
use super::super::rows::{Column, Show, plain, shown};

const COLUMNS: &[Column] = &[plain("ID", "publicId"), plain("NAME", "name"), plain("CREATED", "createdAt")];

/// What can be done with projects.
pub const VERBS: &[Verb] = &[
    Verb {
        shows: Shows::List(COLUMNS),
        ..verb("list", "List the projects that you can see", "listProjects", "orgkeys project list")
    },
    Verb {
        inputs: &[argument("name", "The project's name", "name")],
        shows: Shows::One(COLUMNS),
        ..verb("create", "Create a project", "createProject", "orgkeys project create Shop")
    },
    Verb {
        inputs: &[argument("id", "The project's id", "projectId")],
        shows: Shows::One(&[
            plain("ID", "publicId"),
            plain("NAME", "name"),
            plain("CREATED", "createdAt"),
            shown("MEMBERS", "members", Show::Each("userId")),
        ]),
        ..verb("show", "Show a project and its members", "getProject", "orgkeys project show project-...")
    },
    Verb {
        inputs: &[argument("id", "The project's id", "projectId")],
        ..verb(
            "delete",
            "Delete a project, and the API keys that are restricted to it alone",
            "deleteProject",
            "orgkeys project delete project-...",
        )
    },
];
