use super::*;

fn store(folder: &Path) -> Store {
    Store::new(|name| (name == "XDG_CONFIG_HOME").then(|| folder.display().to_string()))
}

#[test]
fn what_is_saved_is_read_back_privately() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let store = store(folder.path());
    assert!(store.load().expect("none").profiles.is_empty());
    let saved = store.update(|profiles| {
        profiles.current = Some("work-1".to_owned());
        let profile = Profile {
            url: "https://keys.example.org".to_owned(),
            ca: Some("/a \"b\"\\c".into()),
            email: Some("ada\u{7f}\u{1}@example.org".to_owned()),
            access_token: Some("okp_1".to_owned().into()),
            ..Profile::default()
        };
        profiles.profiles.insert("work-1".to_owned(), profile);
        Ok(())
    });
    saved.expect("saved");
    let path = folder.path().join("orgkeys/profiles.toml");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(folder.path().join("orgkeys")).expect("a folder").permissions().mode() & 0o777, 0o700);
    let read = store.load().expect("profiles");
    let profile = read.get("work-1").expect("a profile");
    assert_eq!(profile.email.as_deref(), Some("ada\u{7f}\u{1}@example.org"));
    assert_eq!(profile.ca.as_deref(), Some(Path::new("/a \"b\"\\c")));
    assert_eq!(profile.access_token.as_ref().map(ExposeSecret::expose_secret), Some("okp_1"));
    assert!(profile.refresh_token.is_none());
    assert!(!format!("{read:?}").contains("okp_1"));
    assert!(read.get("home").is_err());
    assert!(!folder.path().join("orgkeys/profiles.toml.new").exists());
}

#[test]
fn a_file_that_others_can_read_is_refused_and_errors_do_not_repeat_it() {
    let folder = tempfile::TempDir::with_prefix("o'k").expect("a folder");
    let store = store(folder.path());
    fs::create_dir(folder.path().join("orgkeys")).expect("a folder");
    let path = folder.path().join("orgkeys/profiles.toml");
    fs::write(&path, "[profiles.a]\nurl = \"http://h\"\n").expect("written");
    for (mode, is_read) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        let loaded = store.load();
        assert_eq!(loaded.is_ok(), is_read, "{mode:o}");
        // The line can be pasted, whatever the folder is called.
        let remedy = format!("chmod 600 {}", shell::quoted(path.display()));
        assert!(loaded.map_or_else(|failure| failure.message.contains(&remedy), |_| true), "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    for text in [
        "[profiles.a]\nurl = \"u\"\ntoken = \"okp_s3cret\"\n",
        "access_token = okp_s3cret\n",
        "[profiles.\"a b\"]\nurl = \"u\"\n",
    ] {
        fs::write(&path, text).expect("written");
        let failure = store.load().expect_err("refused");
        assert!(!failure.message.contains("s3cret"), "{}", failure.message);
    }
}

#[test]
fn profiles_are_below_xdg_config_home_else_below_home() {
    let path = |xdg: &str, home: &str| {
        let variable = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(xdg.to_owned()),
            "HOME" => Some(home.to_owned()),
            _ => None,
        };
        Store::new(variable).path().map(|path| path.display().to_string())
    };
    assert_eq!(path("/x", "/h").as_deref(), Some("/x/orgkeys/profiles.toml"));
    assert_eq!(path("x", "/h").as_deref(), Some("/h/.config/orgkeys/profiles.toml"));
    assert_eq!(path("x", "h"), None);
}

#[test]
fn what_a_killed_process_left_behind_is_in_nobodys_way() {
    let folder = tempfile::TempDir::new().expect("a folder");
    store(folder.path()).update(|_| Ok(())).expect("saved");
    fs::write(folder.path().join("orgkeys/profiles.toml.new"), "[profiles").expect("written");
    let used = store(folder.path()).update(|profiles| {
        profiles.current = Some("work".to_owned());
        Ok(())
    });
    used.expect("saved");
    assert_eq!(store(folder.path()).load().expect("profiles").current.as_deref(), Some("work"));
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused_and_never_cut() {
    let folder = tempfile::TempDir::new().expect("a folder");
    store(folder.path()).update(|_| Ok(())).expect("saved");
    for (length, is_read) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let (text, padding) = ("current = \"work\"\n#", " ");
        let text = format!("{text}{}", padding.repeat(length - text.len()));
        fs::write(folder.path().join("orgkeys/profiles.toml"), text).expect("written");
        let told = store(folder.path()).load().map(|profiles| profiles.current.is_some());
        assert_eq!(
            told.map_err(|failure| failure.message.contains("is longer than 1 MiB")),
            if is_read { Ok(true) } else { Err(true) }
        );
    }
}

#[test]
fn a_profiles_name_is_a_bare_key() {
    let (longest, too_long) = ("n".repeat(64), "n".repeat(65));
    for (name, is_good) in [
        ("work", true),
        ("Work_1-a", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("a b", false),
        ("a.b", false),
        ("caf\u{e9}", false),
    ] {
        assert_eq!(check_name(name).is_ok(), is_good, "{name:?}");
    }
}

#[test]
fn what_is_not_as_it_was_written_is_told_by_its_line() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("orgkeys/profiles.toml");
    store(folder.path()).update(|_| Ok(())).expect("saved");
    for (text, line) in
        [("current = = 1\n", 1), ("current = \"a\"\n\n= 8\n", 3), ("current = \"a\"\n[profiles.a]\nurl = x\n", 3)]
    {
        fs::write(&path, text).expect("written");
        let told = store(folder.path()).load().expect_err(text).message;
        assert!(told.contains(&format!(": line {line} is not as ")), "{text:?}: {told}");
    }
}

#[test]
fn a_relative_folder_is_ignored_and_a_missing_one_is_an_error_only_when_saving() {
    let nowhere = Store::new(|_| Some("relative".to_owned()));
    assert!(nowhere.load().expect("none").profiles.is_empty());
    assert!(nowhere.lock().is_err());
}
