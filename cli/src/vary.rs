//! `--vary KEY=A,B,…`: a value of the scenario that takes several values in turn.

use std::str::FromStr;

/// A key of the scenario with the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vary {
    /// As `--set` has it: `queue.orders.design`.
    pub(crate) path: String,
    /// As `--set` has them, in order: `kafka`.
    pub(crate) values: Vec<String>,
}

impl Vary {
    /// The override that gives the key its `index`-th value.
    pub(crate) fn set(&self, index: usize) -> String {
        format!("{}={}", self.path, self.values[index])
    }
}

impl FromStr for Vary {
    type Err = String;

    fn from_str(text: &str) -> Result<Vary, String> {
        let (path, values) = text
            .split_once('=')
            .filter(|(path, _)| !path.trim().is_empty())
            .ok_or("it is KEY=A,B,…, such as consumer.workers.count=4,8,16")?;
        let values = list(values);
        if values.iter().any(String::is_empty) {
            return Err("a value is empty; values are separated by single commas".into());
        }
        if let Some(twice) = (1..values.len()).find(|at| values[..*at].contains(&values[*at])) {
            return Err(format!("`{}` is there twice", values[twice]));
        }
        Ok(Vary {
            path: path.trim().into(),
            values,
        })
    }
}

/// All combinations of the keys' values, as indexes into them; the last key changes fastest.
pub(crate) fn combinations(keys: &[Vary]) -> Vec<Vec<usize>> {
    keys.iter().fold(vec![Vec::new()], |before, key| {
        let longer = before.iter().flat_map(|indexes| {
            (0..key.values.len()).map(move |index| [indexes.as_slice(), &[index]].concat())
        });
        longer.collect()
    })
}

/// Values between commas, but for commas within brackets, braces and quotes: those belong to the value.
fn list(text: &str) -> Vec<String> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let (mut depth, mut quote) = (0_usize, None);
    for c in text.chars() {
        match (c, quote) {
            (',', None) if depth == 0 => {
                values.push(std::mem::take(&mut value).trim().to_string());
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
        value.push(c);
    }
    values.push(value.trim().to_string());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_commas() {
        let vary: Vary = "queue.orders.design=kafka, sqs".parse().unwrap();
        assert_eq!(vary.path, "queue.orders.design");
        assert_eq!(vary.values, ["kafka", "sqs"]);
        assert_eq!(vary.set(1), "queue.orders.design=sqs");
        let text = "consumer.c.service={ dist = \"constant\", value = \"1ms\" },\"2,5ms\",[1, 2]";
        let vary: Vary = text.parse().unwrap();
        let expected = [
            "{ dist = \"constant\", value = \"1ms\" }",
            "\"2,5ms\"",
            "[1, 2]",
        ];
        assert_eq!(vary.values, expected);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, part) in [
            ("consumer.c.count", "KEY=A,B"),
            ("=4", "KEY=A,B"),
            ("consumer.c.count=", "empty"),
            ("consumer.c.count=4,,8", "empty"),
            ("consumer.c.count=4,8,4", "`4` is there twice"),
        ] {
            let error = text.parse::<Vary>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_last_key_changes_fastest() {
        let key = |values: &str| format!("k={values}").parse::<Vary>().unwrap();
        let all = combinations(&[key("a,b"), key("1,2,3")]);
        assert_eq!(all, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
        assert_eq!(combinations(&[]), [Vec::<usize>::new()]);
    }
}
