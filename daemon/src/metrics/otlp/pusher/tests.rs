//! What a collector may say.

use super::*;

fn rejected(body: &str) -> Option<(u64, String)> {
    rejection(body.as_bytes()).map(|rejection| (rejection.points, rejection.words))
}

#[test]
fn only_what_was_left_out_is_a_rejection() {
    let some = |points, words: &str| Some((points, words.to_owned()));
    for (body, expected) in [
        ("", None),
        ("{}", None),
        ("ok", None),
        ("[]", None),
        ("{\"partialSuccess\":null}", None),
        ("{\"partialSuccess\":{}}", None),
        ("{\"partialSuccess\":{\"rejectedDataPoints\":\"0\",\"errorMessage\":\"\"}}", None),
        ("{\"partialSuccess\":{\"rejectedDataPoints\":\"7\"}}", some(7, "")),
        ("{\"partialSuccess\":{\"rejectedDataPoints\":7,\"errorMessage\":\"x\"}}", some(7, "x")),
        ("{\"partialSuccess\":{\"rejectedDataPoints\":-1,\"errorMessage\":\"x\"}}", some(0, "x")),
        ("{\"partialSuccess\":{\"errorMessage\":\"a warning\",\"new\":[1]}}", some(0, "a warning")),
        ("{\"partialSuccess\":{\"rejectedDataPoints\":[],\"errorMessage\":{}}}", None),
    ] {
        assert_eq!(rejected(body), expected, "{body}");
    }
    let (_, words) =
        rejected(&format!("{{\"partialSuccess\":{{\"errorMessage\":\"{}\"}}}}", "\u{e9}".repeat(9000)))
            .expect("words");
    assert_eq!(words.chars().count(), LONGEST_WORDS);
    // As deep as it may be sent.
    assert_eq!(rejected(&"{\"partialSuccess\":".repeat(3000)), None);
}

#[test]
fn what_is_not_known_is_left_out() {
    let build = Build { version: "1".to_owned(), target: "t".to_owned(), ..Build::default() };
    let own = attributes(&build, "i".to_owned());
    let keys: Vec<_> = own.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["service.name", "service.version", "service.instance.id", "seaworthyd.target"]);
}
