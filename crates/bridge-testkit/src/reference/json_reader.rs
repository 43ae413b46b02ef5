//! Parses the strict JSON grammar into nodes, with an explicit stack.

use super::{
    json::{Invalid, Node},
    json_string,
};

/// Parses consecutive values.
pub(crate) struct Reader<'t> {
    text: &'t [u8],
    pub(crate) at: usize,
    pub(crate) nodes: Vec<Node>,
}

/// A container whose end has not been parsed yet.
enum Open {
    Array(Vec<usize>),
    Object { members: Vec<(Vec<u8>, usize)>, key: Vec<u8> },
}

impl<'t> Reader<'t> {
    pub(crate) fn of(text: &'t [u8]) -> Self {
        Self { text, at: 0, nodes: Vec::new() }
    }

    /// Parses the next value completely and returns its index.
    pub(crate) fn value(&mut self) -> Result<usize, Invalid> {
        let mut open = Vec::new();
        loop {
            if let Some(complete) = self.begin(&mut open)?
                && let Some(root) = self.attach(complete, &mut open)?
            {
                return Ok(root);
            }
        }
    }

    /// Parses a scalar or an empty container and returns its index. Pushes any other container onto the stack.
    fn begin(&mut self, open: &mut Vec<Open>) -> Result<Option<usize>, Invalid> {
        self.skip_whitespace();
        let node = match self.peek().ok_or(Invalid)? {
            b'{' => {
                self.at += 1;
                self.skip_whitespace();
                if !self.eat(b'}') {
                    let key = self.key()?;
                    open.push(Open::Object { members: Vec::new(), key });
                    return Ok(None);
                }
                Node::Object(Vec::new())
            }
            b'[' => {
                self.at += 1;
                self.skip_whitespace();
                if !self.eat(b']') {
                    open.push(Open::Array(Vec::new()));
                    return Ok(None);
                }
                Node::Array(Vec::new())
            }
            b'"' => Node::String(self.string()?),
            b't' => self.literal("true", Node::Bool(true))?,
            b'f' => self.literal("false", Node::Bool(false))?,
            b'n' => self.literal("null", Node::Null)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(Invalid),
        };
        Ok(Some(self.push(node)))
    }

    /// Adds a complete value to its container, and repeats that for each container that it completes. Returns the index
    /// of the outermost value once it is complete.
    fn attach(&mut self, mut complete: usize, open: &mut Vec<Open>) -> Result<Option<usize>, Invalid> {
        loop {
            let Some(container) = open.pop() else { return Ok(Some(complete)) };
            self.skip_whitespace();
            let closed = match container {
                Open::Array(mut items) => {
                    items.push(complete);
                    if self.eat(b',') {
                        open.push(Open::Array(items));
                        return Ok(None);
                    }
                    self.expect(b']')?;
                    Node::Array(items)
                }
                Open::Object { mut members, key } => {
                    members.push((key, complete));
                    if self.eat(b',') {
                        let key = self.key()?;
                        open.push(Open::Object { members, key });
                        return Ok(None);
                    }
                    self.expect(b'}')?;
                    Node::Object(members)
                }
            };
            complete = self.push(closed);
        }
    }

    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Parses a key and its colon.
    fn key(&mut self) -> Result<Vec<u8>, Invalid> {
        self.skip_whitespace();
        let key = self.string()?;
        self.skip_whitespace();
        self.expect(b':')?;
        Ok(key)
    }

    fn string(&mut self) -> Result<Vec<u8>, Invalid> {
        let (decoded, length) = json_string::decode(&self.text[self.at..]).ok_or(Invalid)?;
        self.at += length;
        Ok(decoded)
    }

    fn literal(&mut self, word: &str, node: Node) -> Result<Node, Invalid> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(Invalid);
        }
        self.at += word.len();
        Ok(node)
    }

    fn number(&mut self) -> Result<Node, Invalid> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Node::Number(start..self.at))
    }

    /// Parses one or more digits.
    fn digits(&mut self) -> Result<(), Invalid> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Invalid) } else { Ok(()) }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn expect(&mut self, byte: u8) -> Result<(), Invalid> {
        if self.eat(byte) { Ok(()) } else { Err(Invalid) }
    }

    pub(crate) fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}
