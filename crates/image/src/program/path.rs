//! Follows one path through the layers of an image, lowest first (OCI image-spec, layer.md).
//!
//! A later layer wins; whiteouts hide what lies below them. Links are noticed, not followed: what lies behind one
//! may be outside the image.

use crate::program::Unrunnable;
use crate::spec::MAX_EXECUTABLE;
use crate::tar::{Kind, Member};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is known so far of each component of the path.
pub(crate) struct Walk {
    parts: Vec<Vec<u8>>,
    nodes: Vec<Option<Node>>,
    layer: usize,
}

struct Node {
    /// The layer that it is from, from 1.
    layer: usize,
    mode: u64,
    found: Found,
}

enum Found {
    Folder,
    File { content: Vec<u8>, size: u64 },
    Link { target: String },
    Special,
}

impl Walk {
    /// A walk to `path`, absolute.
    pub(crate) fn to(path: &str) -> Self {
        let parts = components(path.as_bytes());
        Self { nodes: parts.iter().map(|_| None).collect(), parts, layer: 0 }
    }

    pub(crate) fn begin_layer(&mut self) {
        self.layer += 1;
    }

    /// Whether `member` is the file itself, of a size that fits into memory.
    pub(crate) fn wants_content(&self, member: &Member) -> bool {
        member.kind == Kind::Regular && member.size <= MAX_EXECUTABLE && components(&member.path) == self.parts
    }

    /// Takes note of a member of the current layer.
    pub(crate) fn meet(&mut self, member: &Member, content: Vec<u8>) {
        let path = components(&member.path);
        let Some((name, folder)) = path.split_last() else { return };
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            self.hide(folder, name, hidden);
        } else if self.parts.starts_with(&path) {
            let found = match member.kind {
                Kind::Directory => Found::Folder,
                Kind::Regular => Found::File { content, size: member.size },
                Kind::Symlink | Kind::HardLink => Found::Link { target: readable(&member.link) },
                Kind::Other => Found::Special,
            };
            let depth = folder.len();
            if !matches!(found, Found::Folder) {
                self.nodes[depth..].fill_with(|| None);
            }
            self.nodes[depth] = Some(Node { layer: self.layer, mode: member.mode, found });
        }
    }

    /// Hides what lower layers have of `folder` (an opaque whiteout) or of one name in it.
    fn hide(&mut self, folder: &[Vec<u8>], name: &[u8], hidden: &[u8]) {
        let depth = folder.len();
        let on_the_way = self.parts.starts_with(folder) && depth < self.parts.len();
        if on_the_way && (name == OPAQUE || self.parts[depth] == hidden) {
            let below = |node: &mut Option<Node>| node.take_if(|node| node.layer < self.layer);
            self.nodes[depth..].iter_mut().for_each(|node| drop(below(node)));
        }
    }

    /// The content of the file, after all layers.
    pub(crate) fn file(mut self) -> Result<Vec<u8>, Unrunnable> {
        let last = self.nodes.pop().flatten();
        let path = self.path_to(self.parts.len());
        for (depth, node) in self.nodes.iter().enumerate() {
            if let Some(Node { found: Found::Link { target }, .. }) = node {
                return Err(Unrunnable::Link { path: self.path_to(depth + 1), target: target.clone() });
            }
        }
        let not_a_file = |found: &str| Unrunnable::NotAFile { path: path.clone(), found: found.to_owned() };
        let Some(node) = last else { return Err(not_a_file("missing from its layers")) };
        match node.found {
            Found::Link { target } => Err(Unrunnable::Link { path, target }),
            Found::Folder => Err(not_a_file("a folder")),
            Found::Special => Err(not_a_file("a special file")),
            Found::File { size, .. } if MAX_EXECUTABLE < size => Err(Unrunnable::TooLarge { path, found: size }),
            Found::File { .. } if node.mode & 0o111 == 0 => Err(Unrunnable::Mode { path, mode: node.mode & 0o7777 }),
            Found::File { content, .. } => Ok(content),
        }
    }

    fn path_to(&self, depth: usize) -> String {
        format!("/{}", readable(&self.parts[..depth].join(&b'/')))
    }
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/');
    parts.filter(|part| !part.is_empty() && part != b".").map(<[u8]>::to_vec).collect()
}

fn readable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}
