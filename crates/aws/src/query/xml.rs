//! A reply in XML as a small tree: names without prefixes, text, children. No attributes, AWS uses none.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Deepest nesting that is read; AWS's replies stay below ten.
const MAX_DEPTH: usize = 64;

/// An element of a reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root element; None for anything that is not one well-formed document.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) if open.len() < MAX_DEPTH => {
                    open.push(Self::named(start.local_name().into_inner()));
                }
                Event::Start(_) => return None,
                Event::Empty(empty) => open.last_mut()?.children.push(Self::named(empty.local_name().into_inner())),
                Event::End(_) => {
                    let closed = open.pop()?;
                    open.last_mut()?.children.push(closed);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
                Event::CData(data) => open.last_mut()?.text.push_str(&data.xml10_content()),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => resolve_predefined_entity(&reference)?.to_owned(),
                    };
                    open.last_mut()?.text.push_str(&resolved);
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let mut document = open.pop().filter(|_| open.is_empty())?;
        document.children.pop().filter(|_| document.children.is_empty())
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The first descendant of that name, this one included.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The members of the first list of that name: its children `item` (EC2) or `member` (IAM, ELB).
    pub(crate) fn list(&self, name: &str) -> &[Self] {
        self.find(name).map_or(&[], |list| &list.children)
    }

    /// The text of the child of that name, else of the first descendant, if it has any.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|child| child.name == name);
        child.or_else(|| self.find(name)).map(|found| found.text.trim()).filter(|text| !text.is_empty())
    }

    /// Its own text: that of a list's member which is no more than a word or a number.
    pub(crate) fn own_text(&self) -> &str {
        self.text.trim()
    }

    /// Code and message of an error, if it is one: EC2 spells its envelope unlike all others.
    pub(crate) fn error(&self) -> Option<(String, String)> {
        Some((self.text("Code")?.to_owned(), self.text("Message").unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read_whatever_their_members_are_called() {
        let root = Element::parse(
            "<?xml version=\"1.0\"?><DescribeVpcsResponse xmlns=\"http://ec2/\"><requestId>1</requestId><vpcSet>\
             <item><vpcId>vpc-1</vpcId><tagSet/></item><item><vpcId>vpc-2</vpcId></item></vpcSet></DescribeVpcsResponse>",
        )
        .unwrap();
        let ids: Vec<_> = root.list("vpcSet").iter().filter_map(|item| item.text("vpcId")).collect();
        assert_eq!(ids, ["vpc-1", "vpc-2"]);
        assert!(root.list("tagSet").is_empty());
        assert!(root.list("absent").is_empty());
    }

    #[test]
    fn an_error_is_found_in_both_envelopes() {
        let ec2 = "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>The &quot;vpc-1&quot; &#233;</Message>\
                   </Error></Errors><RequestID>1</RequestID></Response>";
        let iam = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(
            Element::parse(ec2).unwrap().error(),
            Some(("InvalidVpcID.NotFound".to_owned(), "The \"vpc-1\" é".to_owned()))
        );
        assert_eq!(Element::parse(iam).unwrap().error().unwrap().0, "NoSuchEntity");
        assert_eq!(Element::parse("<html><body>bad gateway</body></html>").unwrap().error(), None);
    }

    #[test]
    fn a_child_is_nearer_than_what_is_within_another_one() {
        let root =
            Element::parse("<item><groups><groupId>sg-2</groupId></groups><groupId>sg-1</groupId></item>").unwrap();
        assert_eq!(root.text("groupId"), Some("sg-1"));
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        for text in ["", "text", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>"] {
            assert_eq!(Element::parse(text), None, "{text}");
        }
        assert_eq!(Element::parse(&"<a>".repeat(1000)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in "\\PC*") {
            let _ = Element::parse(&text);
        }
    }
}
