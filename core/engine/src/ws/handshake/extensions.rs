//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1): names with parameters, whatever they mean.

use std::borrow::Cow;

use super::Malformed;
use super::list::{SPACE, is_tchar, is_token};

/// One element of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Extension<'a> {
    pub(in super::super) name: &'a str,
    /// Names and values, in order, as often as they stand there.
    pub(in super::super) parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// All extensions of a value; empty elements do not count.
pub(in super::super) fn list(value: &str) -> Result<Vec<Extension<'_>>, Malformed> {
    let (mut extensions, mut rest) = (Vec::new(), value);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(extensions);
        }
        let mut extension = Extension {
            name: token(&mut rest)?,
            parameters: Vec::new(),
        };
        loop {
            rest = rest.trim_start_matches(SPACE);
            let Some(after) = rest.strip_prefix(';') else {
                break;
            };
            rest = after.trim_start_matches(SPACE);
            let name = token(&mut rest)?;
            rest = rest.trim_start_matches(SPACE);
            let value = match rest.strip_prefix('=') {
                None => None,
                Some(after) => {
                    rest = after.trim_start_matches(SPACE);
                    Some(value_of(&mut rest)?)
                }
            };
            extension.parameters.push((name, value));
        }
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(Malformed);
        }
        extensions.push(extension);
    }
}

fn token<'a>(rest: &mut &'a str) -> Result<&'a str, Malformed> {
    let len = rest.bytes().take_while(|&byte| is_tchar(byte)).count();
    if len == 0 {
        return Err(Malformed);
    }
    let (token, after) = rest.split_at(len);
    *rest = after;
    Ok(token)
}

/// A token, or one in quotes: "the value after quoted-string unescaping MUST conform to the token ABNF".
fn value_of<'a>(rest: &mut &'a str) -> Result<Cow<'a, str>, Malformed> {
    let Some(quoted) = rest.strip_prefix('"') else {
        return token(rest).map(Cow::Borrowed);
    };
    let (mut value, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' if is_token(&value) => {
                *rest = &quoted[at + 1..];
                return Ok(Cow::Owned(value));
            }
            '"' => return Err(Malformed),
            '\\' => value.push(chars.next().ok_or(Malformed)?.1),
            char => value.push(char),
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value: &str) -> Result<String, Malformed> {
        let extensions = list(value)?;
        let shown = extensions.iter().map(|extension| {
            let parameters = extension.parameters.iter();
            let parameters = parameters.map(|(name, value)| format!(";{name}={value:?}"));
            format!("{}{}", extension.name, parameters.collect::<String>())
        });
        Ok(shown.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn lists_are_read() {
        insta::assert_snapshot!(shown("foo").unwrap(), @"foo");
        insta::assert_snapshot!(shown(r#" a ; b=1;c = "2\3" ,, d ,"#).unwrap(), @r#"a;b=Some("1");c=Some("23"),d"#);
        insta::assert_snapshot!(shown("").unwrap(), @"");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for wrong in [
            ";",
            "a;",
            "a;=",
            "a;b=",
            "a b",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"x y\"",
            "a;b=\"x\"y",
            "a;b=\"\\",
            "é",
            "a=b",
        ] {
            assert_eq!(list(wrong), Err(Malformed), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in r#"[a\",; =\\é]{0,20}"#) {
            let _ = list(&value);
        }
    }
}
