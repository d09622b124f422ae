use crate::json::ids::MAX_LISTED;
use crate::json::*;
use serde_json::json;

fn short(text: &str) -> Result<String, (&'static str, &'static str)> {
    if text.len() > 5 { Err(("too-long", "at most 5")) } else { Ok(text.to_owned()) }
}

fn errors<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<(String, &'static str)> {
    match result.unwrap_err() {
        Error::Invalid(errors) => errors.into_iter().map(|f| (f.field.into_owned(), f.code)).collect(),
        other => panic!("{other:?}"),
    }
}

fn only(result: Result<impl std::fmt::Debug, Error>) -> (String, &'static str, String) {
    match result.unwrap_err() {
        Error::Invalid(errors) => {
            let [error] = <[_; 1]>::try_from(errors).unwrap();
            (error.field.into_owned(), error.code, error.detail.into_owned())
        }
        other => panic!("{other:?}"),
    }
}

fn fields(value: Value) -> Fields {
    Fields::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn a_malformed_document_has_one_clear_error() {
    let deep = format!(r#"{{"a":{}}}"#, "[".repeat(200));
    for (bytes, code) in [
        (&b""[..], "empty-body"),
        (b" \n", "empty-body"),
        (b"{", "malformed-json"),
        (br#"{"a":"x"#, "malformed-json"),
        (br#"{"a":1} x"#, "malformed-json"),
        (b"nonsense", "malformed-json"),
        (b"{\"a\":\"\xff\"}", "malformed-json"),
        (br#"{"a":"\ud800"}"#, "malformed-json"),
        (b"{'a':1}", "malformed-json"),
        (deep.as_bytes(), "malformed-json"),
        (b"[]", "wrong-type"),
        (b"null", "wrong-type"),
        (b"\"secret\"", "wrong-type"),
    ] {
        let (field, found, detail) = only(Fields::parse(bytes));
        assert_eq!((field.as_str(), found), ("", code), "{}", String::from_utf8_lossy(bytes));
        assert!(!detail.contains("secret"));
    }
}

#[test]
fn doubled_names_are_faults_beside_the_others() {
    let mut f = Fields::parse(br#"{"a":"toolong","b":"x","a":"y","b":"z"}"#).unwrap();
    f.required("a", short);
    f.required("b", short);
    assert_eq!(
        errors(f.finish()),
        [("/a".into(), "duplicate-field"), ("/a".into(), "too-long"), ("/b".into(), "duplicate-field")]
    );
}

#[test]
fn too_many_members_are_one_error() {
    let many: serde_json::Map<_, _> = (0..101).map(|n| (n.to_string(), json!(n))).collect();
    let (field, code, _) = only(Fields::parse(Value::Object(many).to_string().as_bytes()));
    assert_eq!((field.as_str(), code), ("", "too-many-fields"));
}

#[test]
fn good_fields_come_out() {
    let mut f = fields(json!({
        "name": "née", "status": "LOCKED", "isAdmin": "true", "plain": false, "groups": [3, 1, 3], "title": null,
        "phone": "1", "n": 7, "userId": 5, "lastLoginAt": null
    }));
    let name = f.required("name", short);
    let status = f.required_status("status");
    let admin = f.optional_bool("isAdmin");
    let plain = f.required_bool("plain");
    let groups = f.optional_ids("groups");
    assert_eq!(f.nullable("title", short), Patch::Null);
    assert_eq!(f.nullable("phone", short), Patch::Value("1".to_owned()));
    assert_eq!(f.nullable("nothing", short), Patch::Absent);
    assert_eq!(f.optional("nothing", short), None);
    assert_eq!(f.optional_ids("nothing"), None);
    let n = f.required_integer("n", 0..=9);
    f.response_only("userId", Some(json!(5)));
    f.response_only("pid", Some(json!(1)));
    f.ignored("lastLoginAt");
    let all = f.finish_with(|| Some((name?, status?, admin?, plain?, groups?, n?))).unwrap();
    assert_eq!(all, ("née".to_owned(), Status::Locked, true, false, vec![1, 3], 7));
}

#[test]
fn all_errors_are_listed_in_the_order_of_the_document() {
    let mut f = fields(json!({
        "groups": [1, "2x", 0, 9_223_372_036_854_775_808_u64, 1.5, null, [4], -1],
        "a/b~c": 1, "status": "active", "userId": 6, "name": 12, "isAdmin": "yes", "email": null, "n": 10
    }));
    assert_eq!(f.required("missing", short), None);
    assert_eq!(f.required("name", short), None);
    assert_eq!(f.required_status("status"), None);
    assert_eq!(f.optional("email", short), None);
    assert_eq!(f.optional_bool("isAdmin"), None);
    assert_eq!(f.optional_ids("groups"), None);
    assert_eq!(f.optional_integer("n", 0..=9), None);
    assert_eq!(f.required_ids("users"), None);
    f.response_only("userId", Some(json!(5)));
    let expected = [
        ("/groups/1", "wrong-type"),
        ("/groups/2", "out-of-range"),
        ("/groups/3", "out-of-range"),
        ("/groups/4", "wrong-type"),
        ("/groups/5", "wrong-type"),
        ("/groups/6", "wrong-type"),
        ("/groups/7", "out-of-range"),
        ("/a~1b~0c", "unknown-field"),
        ("/status", "unknown-status"),
        ("/userId", "read-only"),
        ("/name", "wrong-type"),
        ("/isAdmin", "wrong-type"),
        ("/email", "wrong-type"),
        ("/n", "out-of-range"),
        ("/missing", "required"),
        ("/users", "required"),
    ];
    assert_eq!(errors(f.finish()), expected.map(|(field, code)| (field.to_owned(), code)));
}

#[test]
fn types_are_named() {
    let mut f = fields(json!({"name": [1]}));
    f.required("name", short);
    assert_eq!(only(f.finish()).2, "must be a string, but is an array");
    let mut f = fields(json!({"groups": "1"}));
    f.optional_ids("groups");
    assert_eq!(only(f.finish()).2, "must be an array of ids, but is a string");
}

#[test]
fn a_create_refuses_read_only_fields() {
    let mut f = fields(json!({"userId": 5, "createdAt": null}));
    f.response_only("userId", None);
    f.response_only("createdAt", Some(Value::Null));
    assert_eq!(errors(f.finish()), [("/userId".to_owned(), "read-only")]);
}

#[test]
fn errors_of_the_handler_are_listed_in_order() {
    let mut f = fields(json!({"a": "1", "b": 1, "c": "x"}));
    f.required("a", short);
    f.required("b", short);
    f.required("c", short);
    f.error("a", ("taken", "is taken"));
    assert_eq!(errors(f.finish()), [("/a".to_owned(), "taken"), ("/b".to_owned(), "wrong-type")]);
}

#[test]
fn patches_apply() {
    assert_eq!(Patch::Absent.or(Some(1)), Some(1));
    assert_eq!(Patch::Null.or(Some(1)), None);
    assert_eq!(Patch::Value(2).or(Some(1)), Some(2));
    assert_eq!(Patch::Value(2).value(), Some(2));
    assert_eq!(Patch::<i64>::Null.value(), None);
}

#[test]
fn id_lists_in_both_spellings() {
    for text in ["[2,1,2]", " [ 2 , 1 ]\n", "{[1,2]}", " {\t[ 1,2 ] \r\n} "] {
        assert_eq!(id_list(text.as_bytes()).unwrap(), [1, 2], "{text}");
    }
    assert_eq!(id_list(b"[]").unwrap(), [0_i64; 0]);
    assert_eq!(id_list(b"{[]}").unwrap(), [0_i64; 0]);
    assert_eq!(id_list(b"[9223372036854775807]").unwrap(), [i64::MAX]);
}

#[test]
fn ids_may_be_strings_of_digits() {
    assert_eq!(id_list(br#"["2", 1, "1", "9223372036854775807"]"#).unwrap(), [1, 2, i64::MAX]);
    let mut f =
        fields(json!({ "groups": ["3", 1], "parent": "7", "pid": "1", "users": ["2", 3], "userId": 5 }));
    assert_eq!(f.optional_ids("groups"), Some(vec![1, 3]));
    assert_eq!(f.nullable_id("parent"), Patch::Value(7));
    f.response_only("pid", Some(json!(1)));
    f.response_only("users", Some(json!([2, 3])));
    f.response_only("userId", Some(json!(5)));
    f.finish().unwrap();
    for (bad, code) in [
        ("", "wrong-type"),
        ("01", "wrong-type"),
        ("00", "wrong-type"),
        ("+1", "wrong-type"),
        ("-1", "wrong-type"),
        (" 1", "wrong-type"),
        ("1.0", "wrong-type"),
        ("１", "wrong-type"),
        ("0", "out-of-range"),
        ("9223372036854775808", "out-of-range"),
        ("99999999999999999999", "out-of-range"),
    ] {
        assert_eq!(only(id_list(json!([bad]).to_string().as_bytes())).1, code, "{bad:?}");
        let mut f = fields(json!({ "pid": bad }));
        f.response_only("pid", Some(json!(1)));
        assert_eq!(only(f.finish()).1, "read-only", "{bad:?}");
    }
    // Other integers are integers.
    let mut f = fields(json!({ "n": "7", "times": ["1"], "name": 7 }));
    f.optional_integer("n", 0..=9);
    f.response_only("times", Some(json!(["1"])));
    f.required("name", short);
    assert_eq!(errors(f.finish()), [("/n".into(), "wrong-type"), ("/name".into(), "wrong-type")]);
}

#[test]
fn a_byte_order_mark_is_skipped_once() {
    assert_eq!(id_list("\u{feff}{[1,2]}".as_bytes()).unwrap(), [1, 2]);
    let mut f = Fields::parse("\u{feff} {\"a\":\"x\"}".as_bytes()).unwrap();
    assert_eq!(f.required("a", short).as_deref(), Some("x"));
    for (bytes, code) in [
        ("\u{feff}", "empty-body"),
        ("\u{feff}\u{feff}{}", "malformed-json"),
        (" \u{feff}{}", "malformed-json"),
    ] {
        assert_eq!(only(Fields::parse(bytes.as_bytes())).1, code, "{bytes:?}");
    }
    for bytes in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}"] {
        assert_eq!(only(Fields::parse(bytes)).2, "the body is UTF-16: send it as UTF-8");
    }
}

#[test]
fn booleans_may_be_strings_in_any_case() {
    let mut f = fields(json!({ "a": "TRUE", "b": "False", "c": "tRUE", "d": "truE ", "e": "1" }));
    assert_eq!(["a", "b", "c"].map(|name| f.optional_bool(name)), [Some(true), Some(false), Some(true)]);
    assert_eq!(["d", "e"].map(|name| f.optional_bool(name)), [None, None]);
    assert_eq!(errors(f.finish()), [("/d".into(), "wrong-type"), ("/e".into(), "wrong-type")]);
}

#[test]
fn ignored_members_may_say_anything() {
    let mut f = fields(json!({ "updatedAt": [{}], "createdAt": null }));
    ["updatedAt", "createdAt", "lastLoginAt"].into_iter().for_each(|name| f.ignored(name));
    f.finish().unwrap();
}

#[test]
fn id_lists_with_faults() {
    for (text, code) in [
        ("", "empty-body"),
        ("{[1,2]", "wrong-type"),
        ("[1,2]}", "malformed-json"),
        ("{[1],[2]}", "malformed-json"),
        ("[1,]", "malformed-json"),
        ("{{[1]}}", "wrong-type"),
        ("{}", "wrong-type"),
        (r#"{"ids":[1]}"#, "wrong-type"),
        ("1", "wrong-type"),
        ("null", "wrong-type"),
    ] {
        let (field, found, _) = only(id_list(text.as_bytes()));
        assert_eq!((field.as_str(), found), ("", code), "{text}");
    }
    assert_eq!(
        errors(id_list(br#"{[1,"2x",3,0,99999999999999999999]}"#)),
        [("/1".into(), "wrong-type"), ("/3".into(), "out-of-range"), ("/4".into(), "out-of-range")]
    );
}

#[test]
fn id_lists_are_bounded() {
    let list = |ids: &mut dyn Iterator<Item = usize>| json!(ids.collect::<Vec<_>>()).to_string().into_bytes();
    assert_eq!(id_list(&list(&mut (1..=MAX_IDS))).unwrap().len(), MAX_IDS);
    assert_eq!(errors(id_list(&list(&mut (1..=MAX_IDS + 1)))), [(String::new(), "too-many-ids")]);
    // Doubled ones count once.
    let doubled = list(&mut (1..=MAX_IDS).chain(1..=MAX_IDS).chain(1..=50_000));
    assert_eq!(id_list(&doubled).unwrap().len(), MAX_IDS);
    assert_eq!(errors(id_list(&list(&mut std::iter::repeat_n(0, 5000)))).len(), MAX_LISTED);
}
