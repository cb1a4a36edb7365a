use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn matches<V: Copy + Ord>(trie: &Trie<V>, key: &str) -> Vec<V> {
    let mut out = vec![];
    trie.matches(key.as_bytes(), &mut out);
    out
}

fn trie_of(patterns: &[&str]) -> Trie<u32> {
    let mut trie = Trie::default();
    for (pattern, value) in patterns.iter().zip(1..) {
        trie.insert(pattern.as_bytes(), value);
    }
    trie
}

/// The table of RabbitMQ's own test of its topic exchange.
#[test]
fn matches_as_rabbitmq_does() {
    let mut trie = trie_of(&[
        "a.b.c",
        "a.*.c",
        "a.#.b",
        "a.b.b.c",
        "#",
        "#.#",
        "#.b",
        "*.*",
        "a.*",
        "*.b.c",
        "a.#",
        "a.#.#",
        "b.b.c",
        "a.b.b",
        "a.b",
        "b.c",
        "",
        "*.*.*",
        "vodka.martini",
        "a.b.c",
        "*.#",
        "#.*.#",
        "*.#.#",
        "#.#.#",
        "*",
        "#.b.#",
    ]);
    let check = |trie: &Trie<u32>, key: &str, expected: &[u32]| {
        assert_eq!(matches(trie, key), expected, "{key:?}")
    };
    check(
        &trie,
        "a.b.c",
        &[1, 2, 5, 6, 10, 11, 12, 18, 20, 21, 22, 23, 24, 26],
    );
    check(
        &trie,
        "a.b",
        &[3, 5, 6, 7, 8, 9, 11, 12, 15, 21, 22, 23, 24, 26],
    );
    check(
        &trie,
        "a.b.b",
        &[3, 5, 6, 7, 11, 12, 14, 18, 21, 22, 23, 24, 26],
    );
    check(&trie, "", &[5, 6, 17, 24]);
    check(&trie, "b.c.c", &[5, 6, 18, 21, 22, 23, 24, 26]);
    check(&trie, "a.a.a.a.a", &[5, 6, 11, 12, 21, 22, 23, 24]);
    check(&trie, "vodka.gin", &[5, 6, 8, 21, 22, 23, 24]);
    check(&trie, "vodka.martini", &[5, 6, 8, 19, 21, 22, 23, 24]);
    check(&trie, "b.b.c", &[5, 6, 10, 13, 18, 21, 22, 23, 24, 26]);
    check(&trie, "nothing.here.at.all", &[5, 6, 21, 22, 23, 24]);
    check(&trie, "oneword", &[5, 6, 21, 22, 23, 24, 25]);

    for (pattern, value) in [("a.b.c", 1), ("#", 5), ("a.#.#", 12), ("*.#", 21), ("", 17)] {
        assert!(trie.remove(pattern.as_bytes(), value));
        assert!(!trie.remove(pattern.as_bytes(), value));
    }
    check(&trie, "a.b.c", &[2, 6, 10, 11, 18, 20, 22, 23, 24, 26]);
    check(&trie, "", &[6, 24]);
}

#[test]
fn empty_words_are_words() {
    let trie = trie_of(&["a..b", "a.*.b", "a.b", ".", "*.*", "a.", "#."]);
    assert_eq!(matches(&trie, "a..b"), [1, 2]);
    assert_eq!(matches(&trie, "."), [4, 5, 7]);
    assert_eq!(matches(&trie, "a."), [5, 6, 7]);
}

#[test]
fn wildcards_are_whole_words_of_patterns_only() {
    let trie = trie_of(&["a*", "a.*", "#b", "*"]);
    assert_eq!(matches(&trie, "ab"), [4]);
    assert_eq!(matches(&trie, "a*"), [1, 4]);
    assert_eq!(matches(&trie, "a.#"), [2]);
    assert_eq!(matches(&trie, "#"), [4]);
}

#[test]
fn appends_each_value_once() {
    let mut trie = Trie::default();
    for pattern in ["#", "a.#", "a.b", "*.b"] {
        trie.insert(pattern.as_bytes(), 7);
        trie.insert(pattern.as_bytes(), 3);
    }
    let mut out = vec![9, 7];
    trie.matches(b"a.b", &mut out);
    assert_eq!(out, [9, 7, 3, 7]);
}

/// Ways to match grow exponentially with the number of `#`; the states of the automaton don't.
#[test]
fn many_hashes_take_few_states() {
    let hostile = |hashes: usize, last: &str| format!("{}{last}", "#.".repeat(hashes));
    let star_hash = "*.#.".repeat(30);
    let mut trie = Trie::default();
    for (hashes, value) in (1..=60).zip(0..) {
        trie.insert(hostile(hashes, "a").as_bytes(), value);
        trie.insert(hostile(hashes, "a.#.b").as_bytes(), 1000 + value);
        trie.insert(
            format!("{star_hash}{}", hostile(hashes, "a")).as_bytes(),
            2000 + value,
        );
    }
    let key = |last: &str| format!("{}{last}", "a.".repeat(60));
    let mut scratch = Scratch::default();
    let mut out = vec![];
    trie.matches_with(key("a").as_bytes(), &mut scratch, &mut out);
    assert_eq!(out, Vec::from_iter((0..60).chain(2000..2060)));
    assert!(scratch.next.len() + scratch.hashes.len() <= trie.nodes.len());
    assert_eq!(matches(&trie, &key("b")), Vec::from_iter(1000..1060));
    assert_eq!(matches(&trie, &key("c")), []);
}

#[test]
fn scratch_serves_any_trie() {
    let (small, large) = (trie_of(&["#"]), trie_of(&["#.a", "b.#", "#.#.c"]));
    let mut scratch = Scratch::default();
    let mut out = vec![];
    for _ in 0..3 {
        small.matches_with(b"a", &mut scratch, &mut out);
        large.matches_with(b"b.a", &mut scratch, &mut out);
    }
    assert_eq!(out, [1, 1, 2, 1, 1, 2, 1, 1, 2]);
}

/// The definition, word by word.
fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        (["#", rest @ ..], key) => (0..=key.len()).any(|taken| naive(rest, &key[taken..])),
        ([_, ..], []) => false,
        ([word, pattern @ ..], [first, key @ ..]) => {
            (*word == "*" || word == first) && naive(pattern, key)
        }
    }
}

fn split(text: &str) -> Vec<&str> {
    if text.is_empty() {
        vec![]
    } else {
        text.split('.').collect()
    }
}

fn any_pattern() -> impl Strategy<Value = String> {
    let word =
        prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just(""), 2 => Just("*"), 3 => Just("#")];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join("."))
}

fn any_key() -> impl Strategy<Value = String> {
    let word = prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just(""), 1 => Just("c")];
    prop::collection::vec(word, 0..8).prop_map(|words| words.join("."))
}

proptest! {
    #[test]
    fn matches_as_defined(
        changes in prop::collection::vec((any_pattern(), 0..4_u32, prop::bool::weighted(0.8)), 0..30),
        keys in prop::collection::vec(any_key(), 1..8),
    ) {
        let mut trie = Trie::default();
        let mut model = BTreeSet::new();
        let mut scratch = Scratch::default();
        for (pattern, value, insert) in changes {
            if insert {
                trie.insert(pattern.as_bytes(), value);
                model.insert((pattern, value));
            } else {
                // Mostly one that is there.
                let (pattern, value) = model.first().cloned().unwrap_or((pattern, value));
                prop_assert_eq!(trie.remove(pattern.as_bytes(), value), model.remove(&(pattern, value)));
            }
        }
        for key in &keys {
            let words = split(key);
            let expected: BTreeSet<u32> = model
                .iter()
                .filter(|(pattern, _)| naive(&split(pattern), &words))
                .map(|&(_, value)| value)
                .collect();
            let mut out = vec![];
            trie.matches_with(key.as_bytes(), &mut scratch, &mut out);
            prop_assert_eq!(out, Vec::from_iter(expected), "key {:?}", key);
        }
        for (pattern, value) in &model {
            prop_assert!(trie.remove(pattern.as_bytes(), *value));
        }
        prop_assert_eq!(trie.nodes.len(), 1 + trie.free.len());
        prop_assert!(trie.nodes.iter().all(Node::is_empty));
    }
}
