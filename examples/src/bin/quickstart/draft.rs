//! What a client may say about a note, and an extractor that lets nothing else through.

use serde::{Deserialize, Serialize};
use tideway::extract::{FromRequest, Json};
use tideway::http::StatusCode;
use tideway::{Context, Problem, Request};

/// A note without what the store adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Draft {
    /// 1 to 120 characters on one line.
    pub(crate) title: String,
    /// At most 2 000 characters.
    pub(crate) text: String,
    /// At most 8; each 1 to 24 lower-case letters, digits and hyphens.
    pub(crate) tags: Vec<String>,
}

/// What is wrong with one field.
#[derive(Debug, PartialEq, Serialize)]
struct Wrong {
    field: String,
    message: &'static str,
}

impl Draft {
    const TITLE: usize = 120;
    const TEXT: usize = 2_000;
    const TAGS: usize = 8;
    const TAG: usize = 24;

    /// The draft without blanks around its parts, or everything that is wrong with it.
    fn checked(mut self) -> Result<Self, Vec<Wrong>> {
        let mut errors = Vec::new();
        let mut wrong = |field: String, message| errors.push(Wrong { field, message });
        self.title = self.title.trim().to_owned();
        self.text = self.text.trim().to_owned();
        if self.title.is_empty() {
            wrong("title".into(), "is missing; write 1 to 120 characters");
        } else if self.title.chars().count() > Self::TITLE {
            wrong("title".into(), "is longer than 120 characters");
        } else if self.title.chars().any(char::is_control) {
            wrong(
                "title".into(),
                "has a line break or another control character",
            );
        }
        if self.text.chars().count() > Self::TEXT {
            wrong("text".into(), "is longer than 2000 characters");
        }
        if self.tags.len() > Self::TAGS {
            wrong("tags".into(), "are more than 8");
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for (at, tag) in self.tags.iter().enumerate() {
            if !(1..=Self::TAG).contains(&tag.len()) || !tag.chars().all(plain) {
                wrong(
                    format!("tags[{at}]"),
                    "must be 1 to 24 lower-case letters, digits and hyphens",
                );
            } else if self.tags[..at].contains(tag) {
                wrong(format!("tags[{at}]"), "is there already");
            }
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(errors)
        }
    }
}

/// Fails as `Json` does, and with 422 and a list of `errors` when the document fits but says
/// what it may not.
impl FromRequest for Draft {
    type Rejection = Problem;

    async fn from_request(request: Request, cx: &Context) -> Result<Self, Problem> {
        let Json(draft) = Json::<Draft>::from_request(request, cx).await?;
        draft.checked().map_err(|errors| {
            let count = errors.len();
            let s = if count == 1 { "" } else { "s" };
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
                .detail(format!("the note has {count} error{s}"))
                .member("errors", serde_json::json!(errors))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(title: &str, text: &str, tags: &[&str]) -> Vec<String> {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let (title, text) = (title.to_owned(), text.to_owned());
        let errors = Draft { title, text, tags }.checked().err();
        let fields = errors.into_iter().flatten().map(|wrong| wrong.field);
        fields.collect()
    }

    #[test]
    fn all_errors_are_told_at_once_and_by_field() {
        assert!(fields(" ok ", "", &["a-1"]).is_empty());
        assert_eq!(fields("  ", "", &[]), ["title"]);
        assert_eq!(fields("a\nb", "", &[]), ["title"]);
        assert!(fields(&"é".repeat(120), &"é".repeat(2_000), &[]).is_empty());
        let all = fields(&"x".repeat(121), &"x".repeat(2_001), &["A", "b", "b", ""]);
        assert_eq!(all, ["title", "text", "tags[0]", "tags[2]", "tags[3]"]);
        assert_eq!(
            fields("t", "", &["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
            ["tags"]
        );
    }
}
