//! Patterns as text: what is wrong with one, its parameters, and how a prefix joins it.

/// The names of a pattern's parameters in order, or what is wrong with it and what to write.
pub(super) fn names(pattern: &str) -> Result<Vec<Box<str>>, String> {
    if !pattern.starts_with('/') {
        return Err(format!("`{pattern}` must start with `/`"));
    }
    let odd = |c: &char| !c.is_ascii_graphic() || matches!(c, '?' | '#');
    if let Some(c) = pattern.chars().find(odd) {
        return Err(format!(
            "`{pattern}` contains {c:?}, which no path does; write it percent-encoded"
        ));
    }
    for segment in pattern.split('/') {
        if let Some(name) = segment.strip_prefix(':') {
            return Err(format!(
                "`{pattern}`: write `{{{name}}}` instead of `:{name}`"
            ));
        }
        if let Some(name) = segment.strip_prefix('*') {
            return Err(format!(
                "`{pattern}`: write `{{*{name}}}` instead of `*{name}`"
            ));
        }
    }
    let mut names: Vec<Box<str>> = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        let (brace, after) = rest[at..].split_at(1);
        if let Some(escaped) = after.strip_prefix(brace) {
            rest = escaped;
            continue;
        }
        let name = match (brace, after.split_once('}')) {
            ("{", Some((name, after))) => {
                rest = after;
                name.strip_prefix('*').unwrap_or(name)
            }
            _ => return Err(format!("`{pattern}` has a `{brace}` without its partner")),
        };
        if name.is_empty() || name.contains(['{', '/', '*']) {
            return Err(format!("`{pattern}` has a parameter without a proper name"));
        }
        if names.iter().any(|other| **other == *name) {
            return Err(format!(
                "`{pattern}` names two parameters `{name}`; rename one"
            ));
        }
        names.push(name.into());
    }
    Ok(names)
}

/// What is wrong with a prefix of a group.
pub(super) fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() || prefix == "/" {
        return Err(format!("the prefix `{prefix}` adds nothing; use `merge`"));
    }
    if prefix.ends_with('/') {
        return Err(format!(
            "the prefix `{prefix}` must not end with `/`; its routes start with one"
        ));
    }
    if prefix.contains("{*") {
        return Err(format!(
            "the prefix `{prefix}` must not hold a catch-all; nothing can follow one"
        ));
    }
    names(prefix).map(|_| ())
}

/// The pattern of `path` under `prefix`; the group's `/` is the prefix itself.
pub(super) fn join(prefix: &str, path: &str) -> String {
    match path {
        "/" => prefix.to_owned(),
        _ => format!("{prefix}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_named_in_order() {
        let found = names("/a/{id}/x-{file}.json/{{lit}}/{*rest}").unwrap();
        assert_eq!(
            found.iter().map(|n| &**n).collect::<Vec<_>>(),
            ["id", "file", "rest"]
        );
    }

    #[test]
    fn a_malformed_pattern_is_refused_with_its_cure() {
        for (pattern, says) in [
            ("a", "start with `/`"),
            ("", "start with `/`"),
            ("/a b", "percent-encoded"),
            ("/caf\u{e9}", "percent-encoded"),
            ("/a?b", "percent-encoded"),
            ("/:id", "write `{id}`"),
            ("/*rest", "write `{*rest}`"),
            ("/{}", "proper name"),
            ("/{*}", "proper name"),
            ("/{a", "without its partner"),
            ("/a}", "without its partner"),
            ("/{a}/{a}", "rename one"),
        ] {
            let error = names(pattern).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_prefix_has_no_slash_at_its_end() {
        for prefix in ["", "/", "/a/", "a", "/{*rest}"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
        assert_eq!(check_prefix("/orgs/{org}"), Ok(()));
        assert_eq!(join("/api", "/"), "/api");
        assert_eq!(join("/api", "/a/"), "/api/a/");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[/{}*:a-c\u{e9} ]{0,12}") {
            if names(&text).is_ok() {
                // What passes here may still be refused by the tree, never by a panic.
                let _ = matchit::Router::new().insert(text, ());
            }
        }
    }
}
