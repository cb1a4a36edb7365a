//! Root finding, sums and small dense matrices.

/// `base` to a whole power.
pub(crate) fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

/// Where `f`, negative at `low` and positive at `high`, is zero.
pub(crate) fn root(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if f(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

/// The quantile `p` of a time whose tail P(T > t) is `tail`: 0 if `tail(0)` is already at most 1 − p. `scale` is any typical time; infinite
/// if the tail does not fall.
pub(crate) fn quantile(p: f64, scale: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let level = 1.0 - p;
    if tail(0.0) <= level {
        return 0.0;
    }
    let mut high = scale.max(f64::MIN_POSITIVE);
    let mut doublings = 0;
    while tail(high) > level {
        high *= 2.0;
        doublings += 1;
        if doublings > 200 || !high.is_finite() {
            return f64::INFINITY;
        }
    }
    root(0.0, high, |t| level - tail(t))
}

/// The probability of `n` events of a Poisson variable with this mean.
pub(crate) fn poisson(mean: f64, n: u64) -> f64 {
    if mean <= 0.0 {
        return if n == 0 { 1.0 } else { 0.0 };
    }
    let n = n as f64;
    libm::exp(n * libm::log(mean) - mean - libm::lgamma(n + 1.0))
}

/// P(N ≥ n) of a Poisson variable with this mean.
pub(crate) fn poisson_at_least(mean: f64, n: u64) -> f64 {
    if n == 0 {
        return 1.0;
    }
    // The smaller side is summed, outwards from its largest term.
    if n as f64 > mean {
        let mut term = poisson(mean, n);
        let (mut sum, mut at) = (0.0, n);
        while term > sum * 1e-17 && term > 0.0 {
            sum += term;
            at += 1;
            term *= mean / at as f64;
        }
        sum
    } else {
        let mut term = poisson(mean, n - 1);
        let (mut sum, mut at) = (0.0, n - 1);
        while term > sum * 1e-17 && term > 0.0 {
            sum += term;
            term *= at as f64 / mean;
            if at == 0 {
                break;
            }
            at -= 1;
        }
        1.0 - sum
    }
}

/// Simpson's rule over `steps` (even) equal steps.
pub(crate) fn integral(from: f64, to: f64, steps: u32, f: impl Fn(f64) -> f64) -> f64 {
    let width = (to - from) / f64::from(steps);
    let inner: f64 = (1..steps)
        .map(|step| {
            let weight = if step % 2 == 1 { 4.0 } else { 2.0 };
            weight * f(from + width * f64::from(step))
        })
        .sum();
    (f(from) + inner + f(to)) * width / 3.0
}

/// A dense square matrix, by rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    size: usize,
    cells: Vec<f64>,
}

impl Matrix {
    /// All zero.
    pub(crate) fn zero(size: usize) -> Matrix {
        Matrix {
            size,
            cells: vec![0.0; size * size],
        }
    }

    /// Ones on the diagonal.
    pub(crate) fn identity(size: usize) -> Matrix {
        let mut matrix = Matrix::zero(size);
        (0..size).for_each(|at| matrix[(at, at)] = 1.0);
        matrix
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn plus(&self, other: &Matrix) -> Matrix {
        self.combined(other, |a, b| a + b)
    }

    pub(crate) fn minus(&self, other: &Matrix) -> Matrix {
        self.combined(other, |a, b| a - b)
    }

    pub(crate) fn times(&self, other: &Matrix) -> Matrix {
        let mut product = Matrix::zero(self.size);
        for row in 0..self.size {
            for inner in 0..self.size {
                let factor = self[(row, inner)];
                if factor != 0.0 {
                    for column in 0..self.size {
                        product[(row, column)] += factor * other[(inner, column)];
                    }
                }
            }
        }
        product
    }

    /// A row vector times this matrix.
    pub(crate) fn left(&self, vector: &[f64]) -> Vec<f64> {
        let entry = |column| {
            (0..self.size)
                .map(|row| vector[row] * self[(row, column)])
                .sum::<f64>()
        };
        (0..self.size).map(entry).collect()
    }

    /// The inverse, by elimination with pivots; `None` if there is none.
    pub(crate) fn inverse(&self) -> Option<Matrix> {
        let (size, mut from, mut to) = (self.size, self.clone(), Matrix::identity(self.size));
        for column in 0..size {
            let pivot = (column..size).max_by(|a, b| {
                from[(*a, column)]
                    .abs()
                    .total_cmp(&from[(*b, column)].abs())
            })?;
            if from[(pivot, column)].abs() < 1e-300 {
                return None;
            }
            from.swap(pivot, column);
            to.swap(pivot, column);
            let scale = 1.0 / from[(column, column)];
            from.scale_row(column, scale);
            to.scale_row(column, scale);
            for row in (0..size).filter(|row| *row != column) {
                let factor = from[(row, column)];
                if factor != 0.0 {
                    from.subtract_row(row, column, factor);
                    to.subtract_row(row, column, factor);
                }
            }
        }
        Some(to)
    }

    /// The largest absolute entry.
    pub(crate) fn largest(&self) -> f64 {
        self.cells
            .iter()
            .fold(0.0, |most, cell| cell.abs().max(most))
    }

    fn combined(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64) -> Matrix {
        let cells = self
            .cells
            .iter()
            .zip(&other.cells)
            .map(|(a, b)| f(*a, *b))
            .collect();
        Matrix {
            size: self.size,
            cells,
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        if one != other {
            (0..self.size).for_each(|column| {
                self.cells
                    .swap(one * self.size + column, other * self.size + column);
            });
        }
    }

    fn scale_row(&mut self, row: usize, factor: f64) {
        (0..self.size).for_each(|column| self[(row, column)] *= factor);
    }

    fn subtract_row(&mut self, row: usize, other: usize, factor: f64) {
        for column in 0..self.size {
            let amount = factor * self[(other, column)];
            self[(row, column)] -= amount;
        }
    }
}

impl std::ops::Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.cells[row * self.size + column]
    }
}

impl std::ops::IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        &mut self.cells[row * self.size + column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_undoes() {
        let mut matrix = Matrix::identity(3);
        (
            matrix[(0, 1)],
            matrix[(1, 0)],
            matrix[(2, 0)],
            matrix[(1, 1)],
        ) = (2.0, 3.0, 0.5, 0.0);
        let product = matrix.times(&matrix.inverse().expect("it is regular"));
        assert!(product.minus(&Matrix::identity(3)).largest() < 1e-12);
        assert_eq!(Matrix::zero(2).inverse(), None);
    }

    #[test]
    fn tails_of_poisson_add_up() {
        for mean in [0.1, 3.0, 40.0] {
            for n in [1, 3, 40, 90] {
                let below: f64 = (0..n).map(|at| poisson(mean, at)).sum();
                assert!(
                    (below + poisson_at_least(mean, n) - 1.0).abs() < 1e-12,
                    "{mean} {n}"
                );
            }
        }
    }

    #[test]
    fn a_quantile_inverts_a_tail() {
        let median = quantile(0.5, 1.0, |t| libm::exp(-t));
        assert!((median - core::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(quantile(0.5, 1.0, |_| 0.3), 0.0);
        assert_eq!(quantile(0.5, 1.0, |_| 0.9), f64::INFINITY);
    }
}
