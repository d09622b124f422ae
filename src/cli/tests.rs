use crate::cli::args::*;
use crate::cli::*;
use tenantry_core::error::FieldError;
use tenantry_core::model::{PartnerId, Status, UserId};

fn words(line: &str) -> Vec<OsString> {
    std::iter::once("tenantry").chain(line.split_whitespace()).map(OsString::from).collect()
}

fn parsed(line: &str) -> Invocation {
    parse(words(line)).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn command(line: &str) -> Command {
    parsed(line).command.unwrap()
}

fn no_file(_: &Path) -> io::Result<Box<dyn Read>> {
    Err(io::ErrorKind::NotFound.into())
}

/// Runs a command line; gives what it printed, what it complained of, and the exit code.
fn outcome(line: &str, env: &[(&str, &str)]) -> (String, String, u8) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    let code = run(words(line), env, no_file, &mut out).map_or_else(|f| report(&f, &mut err), |()| 0);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
}

#[test]
fn the_tree_is_sound() {
    // clap checks names, ids and defaults of a command only when it builds it.
    for line in [
        "serve",
        "config",
        "partner list",
        "user list --partner 1",
        "client list --partner 1",
        "operator list",
    ] {
        parsed(line);
    }
    for line in ["partner create", "user create", "client create", "user delete", "operator revoke"] {
        assert_eq!(parse(words(line)).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn partner_commands() {
    let line =
        "partner create --name Acme --admin-username ada --admin-email ada@example.com --print-password";
    let wanted = PartnerCreate {
        name: "Acme".into(),
        admin_username: "ada".into(),
        admin_email: "ada@example.com".into(),
        admin_first_name: "Admin".into(),
        admin_last_name: "Admin".into(),
        print_password: true,
        json: false,
    };
    assert_eq!(command(line), Command::Partner(PartnerCommand::Create(wanted)));
    let rename = PartnerRename { partner: PartnerId(2), name: "New".into(), json: true };
    assert_eq!(command("partner rename 2 New --json"), Command::Partner(PartnerCommand::Rename(rename)));
    let two = PartnerArgs { partner: PartnerId(2), json: false };
    assert_eq!(command("partner suspend 2"), Command::Partner(PartnerCommand::Suspend(two)));
    let delete = PartnerDelete { partner: PartnerId(2), force: true, json: false };
    assert_eq!(command("partner delete 2 --force"), Command::Partner(PartnerCommand::Delete(delete)));
    for bad in ["partner get 0", "partner get x", "partner get -1", "partner rename 2"] {
        assert!(parse(words(bad)).is_err(), "{bad}");
    }
}

#[test]
fn user_commands() {
    let line = "user create --partner 1 --username bob --email b@example.com --first-name Bob --last-name Byte \
        --admin --status inactive";
    let Command::User(UserCommand::Create(create)) = command(line) else { panic!("no create") };
    assert!(create.admin && !create.print_password && create.status == Status::Inactive);
    let named = |user| UserArgs { user, json: false };
    assert_eq!(command("user get 17"), Command::User(UserCommand::Get(named(UserRef::Id(UserId(17))))));
    let bob = UserRef::Username("bob2@example.com".into());
    assert_eq!(
        command("user unlock bob2@example.com"),
        Command::User(UserCommand::Unlock(named(bob.clone())))
    );
    let delete = UserForce { user: bob, force: true, json: true };
    assert_eq!(
        command("user delete bob2@example.com --force --json"),
        Command::User(UserCommand::Delete(delete))
    );
    let search = UserList { partner: PartnerId(3), search: Some("by%".into()), json: false };
    assert_eq!(command("user list --partner 3 --search by%"), Command::User(UserCommand::List(search)));
    for bad in ["user get 0", "user get 99999999999999999999", "user list", "user get 1 --force"] {
        assert!(parse(words(bad)).is_err(), "{bad}");
    }
}

#[test]
fn client_and_operator_commands() {
    let robot = ClientCreate {
        partner: Some(PartnerId(1)),
        product: false,
        name: "robot".into(),
        public: false,
        admin: true,
        settings: ClientSettings::default(),
        json: false,
    };
    assert_eq!(
        command("client create --partner 1 --name robot --admin"),
        Command::Client(ClientCommand::Create(robot))
    );
    let line = "client create --product --name shop --redirect-uri https://a.example/ --redirect-uri \
        https://b.example/ --public --id-token-alg RS256 --allow-partner 2 --json";
    let Command::Client(ClientCommand::Create(shop)) = command(line) else { panic!("{line}") };
    assert_eq!(shop.settings.redirect_uri, ["https://a.example/", "https://b.example/"]);
    assert_eq!(shop.settings.allow_partner, [PartnerId(2)]);
    assert!(shop.partner.is_none() && shop.product && shop.public && shop.json);
    for line in [
        "client create --name x",
        "client create --name x --partner 1 --product",
        "client list",
        "client update",
        "client update cl_1_a --allow-partner 1 --allow-all-partners",
        "client remove-secret cl_1_a 0",
    ] {
        assert_eq!(parse(words(line)).unwrap_err().exit_code(), 2, "{line}");
    }
    let revoke = ClientRevoke { client_id: "abc".into(), json: false };
    assert_eq!(command("client revoke abc"), Command::Client(ClientCommand::Revoke(revoke)));
    let token = OperatorToken { name: "operator".into(), json: false };
    assert_eq!(command("operator token"), Command::Operator(OperatorCommand::Token(token)));
    let revoke = OperatorRevoke { id: 4, json: false };
    assert_eq!(command("operator revoke 4"), Command::Operator(OperatorCommand::Revoke(revoke)));
}

#[test]
fn backup_and_restore() {
    let file = std::path::PathBuf::from("x.db");
    let backup = BackupArgs { file: file.clone(), json: true };
    assert_eq!(command("backup x.db --json"), Command::Backup(backup));
    assert_eq!(command("restore x.db"), Command::Restore(RestoreArgs { file, json: false }));
    for bad in ["backup", "restore", "backup a b", "restore a --force"] {
        assert!(parse(words(bad)).is_err(), "{bad}");
    }
}

#[test]
fn every_command_takes_every_setting_that_it_does_not_mean_otherwise() {
    let flags = |line: &str| parsed(line).flags;
    let dir = vec![("data-dir".to_owned(), "x".to_owned())];
    assert_eq!(flags("serve --data-dir x"), dir);
    assert_eq!(flags("user get 1 --data-dir x"), dir);
    assert_eq!(flags("partner list"), []);
    assert_eq!(flags("user get 1 --smtp-url=y"), [("smtp-url".to_owned(), "y".to_owned())]);
    assert_eq!(flags("serve --is-admin-as-string"), [("is-admin-as-string".to_owned(), "true".to_owned())]);
    assert_eq!(
        flags("serve --is-admin-as-string=false"),
        [("is-admin-as-string".to_owned(), "false".to_owned())]
    );
    assert_eq!(flags("partner create --name A --admin-username u --admin-email e@x"), []);
    for setting in crate::config::settings() {
        assert_eq!(flags(&format!("serve --{}=x", setting.name))[0].0, setting.name);
    }
}

#[test]
fn help_lists_the_settings_where_they_apply() {
    let help = |line: &str| parse(words(line)).unwrap_err().render().to_string();
    for setting in crate::config::settings() {
        assert!(help("serve --help").contains(&format!("--{}", setting.name)), "{}", setting.name);
    }
    let get = help("user get --help");
    assert!(get.contains("--data-dir") && get.contains("--config") && !get.contains("--smtp-url"), "{get}");
    assert!(help("serve -h").contains("[default: 127.0.0.1:8080]"));
}

#[test]
fn no_arguments_print_the_help() {
    let (out, err, code) = outcome("", &[("TENANTRY_NONSENSE", "x")]);
    assert!(out.contains("Usage: tenantry") && out.contains("operator") && out.contains("tenantry.toml"));
    assert_eq!((err.as_str(), code), ("", 0));
}

#[test]
fn config_prints_what_is_in_force() {
    let env = [("TENANTRY_LOCKOUT_THRESHOLD", "9"), ("TENANTRY_ADMIN_PASSWORD", "hush-hush")];
    let (out, err, code) = outcome("config --listen 127.0.0.1:1", &env);
    assert_eq!((err.as_str(), code), ("", 0));
    let line = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
    assert!(line("listen").ends_with("# flag --listen"));
    assert!(line("lockout-threshold = 9").ends_with("# TENANTRY_LOCKOUT_THRESHOLD"));
    assert!(!out.contains("hush"));
    let json: serde_json::Value = serde_json::from_str(&outcome("config --json", &env).0).unwrap();
    assert_eq!(json["lockout-threshold"]["value"], 9);
}

#[test]
fn faults_go_to_stderr_and_into_the_code() {
    let (out, err, code) = outcome("config --listen x", &[("TENANTRY_LISTNE", "y")]);
    assert_eq!((out.as_str(), code), ("", 2));
    assert_eq!(err.lines().count(), 2);
    assert!(err.lines().all(|line| line.starts_with("tenantry: ")), "{err}");
    let two =
        Error::Invalid(vec![FieldError::new("--email", "a", "one"), FieldError::new("/name", "b", "two")]);
    let mut err = Vec::new();
    assert_eq!(report(&two.into(), &mut err), 1);
    assert_eq!(String::from_utf8(err).unwrap(), "tenantry: --email: one\ntenantry: name: two\n");
    assert_eq!(report(&Failure::Output(io::ErrorKind::BrokenPipe.into()), &mut Vec::new()), 0);
}
