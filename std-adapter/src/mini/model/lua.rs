//! As much of Lua as scripts of tests need: calls of `redis`, strings, integers, tables, `local`, `if`, `return`.

/// A script as a tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Return(Option<Expr>),
    Local(String, Expr),
    Call(Expr),
    If(Expr, Vec<Statement>, Vec<Statement>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Nil,
    Bool(bool),
    Int(i64),
    Text(Vec<u8>),
    Name(String),
    /// `KEYS[n]`, `ARGV[n]`
    Index(String, Box<Expr>),
    /// `#KEYS`
    Length(String),
    /// `redis.call(...)` and the like: the full name, the arguments and the line.
    Call(String, Vec<Expr>, usize),
    /// Elements in order; those with a name apart.
    Table(Vec<Expr>, Vec<(String, Expr)>),
    Concat(Box<Expr>, Box<Expr>),
    Equal(Box<Expr>, Box<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Int(i64),
    Text(Vec<u8>),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["..", "==", "(", ")", "[", "]", "{", "}", ",", ";", "=", "#", "."];

/// The statements of a script; `None` for what is not understood.
pub(super) fn parse(source: &[u8]) -> Option<Vec<Statement>> {
    let (tokens, lines) = tokens(source)?;
    let mut parser = Parser { tokens: &tokens, lines: &lines };
    let block = parser.block()?;
    parser.tokens.is_empty().then_some(block)
}

/// The words of a script, and the line of each.
fn tokens(source: &[u8]) -> Option<(Vec<Token>, Vec<usize>)> {
    let (mut tokens, mut lines, mut rest) = (Vec::new(), Vec::new(), source);
    while let Some(&byte) = rest.first() {
        let read = &source[..source.len() - rest.len()];
        lines.resize(tokens.len() + 1, 1 + read.iter().filter(|byte| **byte == b'\n').count());
        let sign = SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes()));
        if byte.is_ascii_whitespace() {
            rest = &rest[1..];
        } else if rest.starts_with(b"--") {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            rest = &rest[end..];
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let end = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len());
            tokens.push(Token::Word(String::from_utf8_lossy(&rest[..end]).into_owned()));
            rest = &rest[end..];
        } else if byte.is_ascii_digit() || byte == b'-' && rest.get(1).is_some_and(u8::is_ascii_digit) {
            let end = rest.iter().skip(1).position(|b| !b.is_ascii_digit()).map_or(rest.len(), |end| end + 1);
            tokens.push(Token::Int(std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?));
            rest = &rest[end..];
        } else if byte == b'\'' || byte == b'"' {
            let (text, after) = string(&rest[1..], byte)?;
            tokens.push(Token::Text(text));
            rest = after;
        } else {
            let sign = *sign?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
    }
    Some((tokens, lines))
}

/// A string without its opening quote, and what follows it.
fn string(mut rest: &[u8], quote: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'\\' => {
                let (escaped, after) = rest.split_first()?;
                rest = after;
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
            }
            byte if *byte == quote => return Some((text, rest)),
            byte => text.push(*byte),
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    // Lines of all tokens, those of `tokens` at the end (and one more).
    lines: &'t [usize],
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    /// Goes past the sign or word if it stands here.
    fn skip(&mut self, wanted: &str) -> bool {
        let here = match self.tokens.first() {
            Some(Token::Sign(sign)) => *sign == wanted,
            Some(Token::Word(word)) => word == wanted,
            _ => false,
        };
        if here {
            self.tokens = &self.tokens[1..];
        }
        here
    }

    fn expect(&mut self, wanted: &str) -> Option<()> {
        self.skip(wanted).then_some(())
    }

    fn at_end(&self) -> bool {
        match self.tokens.first() {
            None => true,
            Some(Token::Word(word)) => word == "end" || word == "else",
            _ => false,
        }
    }

    fn block(&mut self) -> Option<Vec<Statement>> {
        let mut statements = Vec::new();
        while !self.at_end() {
            if self.skip(";") {
                continue;
            }
            statements.push(self.statement()?);
        }
        Some(statements)
    }

    fn statement(&mut self) -> Option<Statement> {
        if self.skip("return") {
            let nothing = self.at_end() || self.skip(";");
            return Some(Statement::Return(if nothing { None } else { Some(self.expr()?) }));
        }
        if self.skip("local") {
            let Token::Word(name) = self.next()? else { return None };
            self.expect("=")?;
            return Some(Statement::Local(name, self.expr()?));
        }
        if self.skip("if") {
            let condition = self.expr()?;
            self.expect("then")?;
            let then = self.block()?;
            let otherwise = if self.skip("else") { self.block()? } else { Vec::new() };
            self.expect("end")?;
            return Some(Statement::If(condition, then, otherwise));
        }
        match self.expr()? {
            call @ Expr::Call(..) => Some(Statement::Call(call)),
            _ => None,
        }
    }

    fn expr(&mut self) -> Option<Expr> {
        let mut left = self.concat()?;
        while self.skip("==") {
            left = Expr::Equal(Box::new(left), Box::new(self.concat()?));
        }
        Some(left)
    }

    fn concat(&mut self) -> Option<Expr> {
        let left = self.primary()?;
        if self.skip("..") {
            return Some(Expr::Concat(Box::new(left), Box::new(self.concat()?)));
        }
        Some(left)
    }

    fn primary(&mut self) -> Option<Expr> {
        match self.next()? {
            Token::Int(number) => Some(Expr::Int(number)),
            Token::Text(text) => Some(Expr::Text(text)),
            Token::Sign("{") => self.table(),
            Token::Sign("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                Some(inner)
            }
            Token::Sign("#") => match self.next()? {
                Token::Word(name) => Some(Expr::Length(name)),
                _ => None,
            },
            Token::Word(word) => match word.as_str() {
                "nil" => Some(Expr::Nil),
                "true" => Some(Expr::Bool(true)),
                "false" => Some(Expr::Bool(false)),
                _ => self.name(word),
            },
            Token::Sign(_) => None,
        }
    }

    fn name(&mut self, mut name: String) -> Option<Expr> {
        while self.skip(".") {
            let Token::Word(part) = self.next()? else { return None };
            name = format!("{name}.{part}");
        }
        if self.skip("[") {
            let index = self.expr()?;
            self.expect("]")?;
            return Some(Expr::Index(name, Box::new(index)));
        }
        if self.skip("(") {
            let at = self.lines.len().saturating_sub(self.tokens.len() + 1);
            let line = self.lines.get(at).copied().unwrap_or(1);
            return Some(Expr::Call(name, self.list(")")?, line));
        }
        Some(Expr::Name(name))
    }

    /// Expressions up to the closing sign.
    fn list(&mut self, close: &str) -> Option<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.skip(close) {
            items.push(self.expr()?);
            if !self.skip(",") {
                self.expect(close)?;
                break;
            }
        }
        Some(items)
    }

    fn table(&mut self) -> Option<Expr> {
        let (mut items, mut named) = (Vec::new(), Vec::new());
        while !self.skip("}") {
            match self.tokens {
                [Token::Word(name), Token::Sign("="), rest @ ..] => {
                    self.tokens = rest;
                    named.push((name.clone(), self.expr()?));
                }
                _ => items.push(self.expr()?),
            }
            if !self.skip(",") && !self.skip(";") {
                self.expect("}")?;
                break;
            }
        }
        Some(Expr::Table(items, named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let call = |name: &str, args| Expr::Call(name.to_owned(), args, 1);
        let text = |text: &str| Expr::Text(text.as_bytes().to_vec());
        let argv = Expr::Index("ARGV".to_owned(), Box::new(Expr::Int(1)));
        assert_eq!(
            parse(b"return redis.error_reply(ARGV[1])").unwrap(),
            [Statement::Return(Some(call("redis.error_reply", vec![argv])))]
        );
        assert_eq!(
            parse(b"redis.call('SET', \"a\\\"b\", -3); return {1, {err='x'}} -- end").unwrap(),
            [
                Statement::Call(call("redis.call", vec![text("SET"), text("a\"b"), Expr::Int(-3)])),
                Statement::Return(Some(Expr::Table(
                    vec![Expr::Int(1), Expr::Table(vec![], vec![("err".to_owned(), text("x"))])],
                    vec![]
                ))),
            ]
        );
        assert!(matches!(
            parse(b"local x = 'a' .. 'b' if x == 'ab' then return 1 else return end").unwrap()[..],
            [Statement::Local(..), Statement::If(..)]
        ));
        for bad in ["return (", "x", "for i=1,2 do end", "return 'a", "return 1 end", "return }"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
