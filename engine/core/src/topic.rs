//! Topic patterns: words between dots, `*` for one word, `#` for any number of words.

use std::collections::BTreeMap;

/// Values by topic pattern, found by routing key (AMQP 0-9-1, section 3.1.3.3).
///
/// Words are what lies between dots, so `a..b` has an empty one in the middle; an empty key has no words, as
/// in RabbitMQ. The trie is run as a nondeterministic automaton, all of its states at once: a match takes at
/// most the number of words times the number of nodes, whatever the patterns.
#[derive(Clone, Debug)]
pub struct Trie<V: Copy + Ord> {
    /// The root comes first.
    nodes: Vec<Node<V>>,
    /// Nodes that are not in use.
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Node<V> {
    words: BTreeMap<Box<[u8]>, u32>,
    star: Option<u32>,
    hash: Option<u32>,
    /// Of the patterns that end here; sorted.
    values: Vec<V>,
}

/// Memory that a match works in. Reused, it saves the allocations; any trie may use it.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Nodes that the words so far lead to, without those of `#`.
    active: Vec<u32>,
    /// The same after the next word.
    next: Vec<u32>,
    /// Nodes of `#` that the words so far lead to. They stay: `#` takes the next word, too.
    hashes: Vec<u32>,
    /// By node of `#`: the last match in which it was entered.
    entered: Vec<u64>,
    /// Which match this is.
    current: u64,
}

impl<V: Copy + Ord> Default for Trie<V> {
    fn default() -> Self {
        Trie {
            nodes: vec![Node::default()],
            free: Vec::new(),
        }
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Node {
            words: BTreeMap::new(),
            star: None,
            hash: None,
            values: Vec::new(),
        }
    }
}

impl<V: Copy + Ord> Trie<V> {
    /// Adds a value to a pattern's set.
    pub fn insert(&mut self, pattern: &[u8], value: V) {
        let mut at = ROOT;
        for word in words(pattern) {
            at = match self.child(at, word) {
                Some(child) => child,
                None => self.add(at, word),
            };
        }
        let values = &mut self.nodes[at as usize].values;
        if let Err(place) = values.binary_search(&value) {
            values.insert(place, value);
        }
    }

    /// Removes a value from a pattern's set; false if it was not there.
    pub fn remove(&mut self, pattern: &[u8], value: V) -> bool {
        let mut path = vec![];
        let mut at = ROOT;
        for word in words(pattern) {
            let Some(child) = self.child(at, word) else {
                return false;
            };
            path.push((at, word));
            at = child;
        }
        let values = &mut self.nodes[at as usize].values;
        let Ok(place) = values.binary_search(&value) else {
            return false;
        };
        values.remove(place);
        while let Some((parent, word)) = path.pop() {
            if !self.nodes[at as usize].is_empty() {
                break;
            }
            self.nodes[parent as usize].set_child(word, None);
            self.free.push(at);
            at = parent;
        }
        true
    }

    /// Appends the values of all patterns that `key` matches, sorted, each once.
    pub fn matches(&self, key: &[u8], out: &mut Vec<V>) {
        self.matches_with(key, &mut Scratch::default(), out);
    }

    /// Like [`Trie::matches`], without an allocation once `scratch` and `out` are large enough.
    pub fn matches_with(&self, key: &[u8], scratch: &mut Scratch, out: &mut Vec<V>) {
        scratch.start(self.nodes.len());
        self.enter(ROOT, scratch);
        for word in words(key) {
            std::mem::swap(&mut scratch.active, &mut scratch.next);
            self.step(word, scratch);
        }
        let before = out.len();
        for &at in scratch.next.iter().chain(&scratch.hashes) {
            out.extend_from_slice(&self.nodes[at as usize].values);
        }
        sort_and_dedup_from(out, before);
    }

    /// From the active nodes over `word` to the next ones.
    fn step(&self, word: &[u8], scratch: &mut Scratch) {
        scratch.next.clear();
        let (active, hashes) = (scratch.active.len(), scratch.hashes.len());
        for i in 0..active + hashes {
            let at = if i < active {
                scratch.active[i]
            } else {
                scratch.hashes[i - active]
            };
            let node = &self.nodes[at as usize];
            let literal = node.words.get(word).copied();
            for child in [literal, node.star].into_iter().flatten() {
                self.enter(child, scratch);
            }
        }
    }

    /// Adds a node, and the nodes of `#` that follow it without a word. Any other node has one way in and so
    /// is entered once; a node of `#` can be entered again, which changes nothing.
    fn enter(&self, mut at: u32, scratch: &mut Scratch) {
        scratch.next.push(at);
        while let Some(hash) = self.nodes[at as usize].hash {
            let entered = &mut scratch.entered[hash as usize];
            if *entered == scratch.current {
                break;
            }
            *entered = scratch.current;
            scratch.hashes.push(hash);
            at = hash;
        }
    }

    fn child(&self, at: u32, word: &[u8]) -> Option<u32> {
        let node = &self.nodes[at as usize];
        match word {
            b"*" => node.star,
            b"#" => node.hash,
            word => node.words.get(word).copied(),
        }
    }

    fn add(&mut self, parent: u32, word: &[u8]) -> u32 {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() as u32 - 1
        });
        self.nodes[parent as usize].set_child(word, Some(child));
        child
    }
}

impl<V> Node<V> {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
    }

    fn set_child(&mut self, word: &[u8], child: Option<u32>) {
        match (word, child) {
            (b"*", child) => self.star = child,
            (b"#", child) => self.hash = child,
            (word, Some(child)) => drop(self.words.insert(word.into(), child)),
            (word, None) => drop(self.words.remove(word)),
        }
    }
}

impl Scratch {
    fn start(&mut self, nodes: usize) {
        self.active.clear();
        self.next.clear();
        self.hashes.clear();
        self.entered.resize(nodes.max(self.entered.len()), 0);
        self.current += 1;
    }
}

const ROOT: u32 = 0;

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'.')
        .filter(|_| !text.is_empty())
}

/// Sorts what was appended, and drops repetitions in it.
fn sort_and_dedup_from<V: Copy + Ord>(out: &mut Vec<V>, from: usize) {
    out[from..].sort_unstable();
    let mut kept = from;
    for i in from..out.len() {
        if kept == from || out[kept - 1] != out[i] {
            out[kept] = out[i];
            kept += 1;
        }
    }
    out.truncate(kept);
}

#[cfg(test)]
mod tests;
