//! The endpoints: the bytes of a request, the body expected back, the pipelining depth.

/// One row of every table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Plaintext,
    Json,
    Users,
    Echo,
    Pipelined,
}

impl Endpoint {
    pub(crate) const ALL: [Endpoint; 5] = [
        Endpoint::Plaintext,
        Endpoint::Json,
        Endpoint::Users,
        Endpoint::Echo,
        Endpoint::Pipelined,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Endpoint::Plaintext => "plaintext",
            Endpoint::Json => "json",
            Endpoint::Users => "users",
            Endpoint::Echo => "echo",
            Endpoint::Pipelined => "pipelined",
        }
    }

    /// How many requests travel in one write; that many answers are awaited before the next.
    pub(crate) fn depth(self) -> usize {
        match self {
            Endpoint::Pipelined => 16,
            _ => 1,
        }
    }

    /// The body every answer must have.
    pub(crate) fn body(self) -> Vec<u8> {
        match self {
            Endpoint::Plaintext | Endpoint::Pipelined => b"Hello, World!".to_vec(),
            Endpoint::Json => br#"{"message":"Hello, World!"}"#.to_vec(),
            Endpoint::Users => br#"{"id":42,"name":"Grace"}"#.to_vec(),
            Endpoint::Echo => order(),
        }
    }

    /// One request, as three ordinary headers make it.
    pub(crate) fn request(self) -> Vec<u8> {
        match self {
            Endpoint::Plaintext | Endpoint::Pipelined => get("/plaintext"),
            Endpoint::Json => get("/json"),
            Endpoint::Users => get("/users/42"),
            Endpoint::Echo => post("/json-echo", &order()),
        }
    }
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{COMMON}\r\n").into_bytes()
}

pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut out = format!(
        "POST {path} HTTP/1.1\r\n{COMMON}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

const COMMON: &str = "Host: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n";

/// 1 KiB of JSON in exactly the form serde_json writes, so that the echo can be compared.
fn order() -> Vec<u8> {
    let head = concat!(
        r#"{"id":7,"customer":"Grace Hopper","lines":["#,
        r#"{"sku":"A-1","quantity":2,"price":19.5},"#,
        r#"{"sku":"B-2","quantity":1,"price":0.25},"#,
        r#"{"sku":"C-3","quantity":9,"price":100.75}],"note":""#,
    );
    let tail = r#""}"#;
    let filler = "n".repeat(1024 - head.len() - tail.len());
    [head, &filler, tail].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_is_one_kibibyte() {
        assert_eq!(Endpoint::Echo.body().len(), 1024);
    }
}
