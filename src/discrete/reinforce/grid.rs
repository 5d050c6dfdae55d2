//! A world of a few squares, so small that everything about it is known.
//!
//! ```text
//! ....G      S  the start            .  floor
//! .##x.      G  the goal, reward +1  #  a wall
//! ...x.      x  a pit, reward -1
//! .#.x.
//! S....      each step costs 0.04
//! ```
//!
//! Who stands on a square chooses one of four moves. The floor is slippery:
//! with the probability `slip` the move goes off at a right angle, to either
//! side as likely. Who would leave the world, or walk into a wall, stays where
//! they are. Goal and pits end an episode.
//!
//! A policy π is a table (S,A): the probability of each of A = 4 moves on each
//! of S squares; it is the same at all times. What it is worth is
//!
//!   J(π) = E[Σ_t γᵗ·r_t],   the sum over all time, from the start.
//!
//! With so few squares that is no matter of sampling: with `P_π` (S,S) the
//! probabilities of going from one square to the next and `r_π` (S) the mean
//! reward of a step, the values of the squares solve `v = r_π + γ·P_π·v`
//! ([`Grid::value`]), and the best that any policy can do solves the same with
//! the maximum over the moves ([`Grid::best`]). So how well something has
//! been learned can be said exactly.
//!
//! **The end of time is no end of the world.** An episode that has neither come
//! to the goal nor to a pit is cut off after [`Rules::time`] steps. Being cut
//! off is no reward and no punishment, and the square where it happens is
//! worth as much as ever. Here what would have come after is left out, without
//! an estimate in its place: so an episode is a sample of
//! `J_T = E[Σ_{t<T} γᵗ·r_t]` ([`Grid::values`] with T steps), exactly, and J_T
//! differs from J by no more than `γᵀ·(1 + |step|/(1-γ))`: by 0.011 here, and
//! for a policy that arrives by far less.
//!
//! Source: R. Sutton, A. Barto, *Reinforcement Learning*, 2nd edition 2018,
//! chapters 3 and 4; the rewards are those of S. Russell, P. Norvig,
//! *Artificial Intelligence*, section 17.1; on cutting off, F. Pardo and
//! others, *Time limits in reinforcement learning*, ICML 2018.

use crate::engine::random::Rng;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_rand::rand::Rng as _;

/// Moves A: up, right, down, left, in this order.
pub const MOVES: usize = 4;

/// The moves as [`Grid::picture`] draws them.
const ARROWS: [char; MOVES] = ['↑', '→', '↓', '←'];

/// The world at the head of this page, row after row.
pub const MAP: [&str; 5] = [
    "....G", //
    ".##x.", //
    "...x.", //
    ".#.x.", //
    "S....",
];

/// What holds in a world, wherever its walls are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Probability in `[0,1]` that a move goes off to a side.
    pub slip: f64,
    /// Reward of every step, wherever it leads.
    pub step: f64,
    /// The discount γ in `[0,1)`: a reward is worth γ of what it would have
    /// been a step earlier.
    pub discount: f64,
    /// Steps T after which an episode is cut off.
    pub time: usize,
}

impl Default for Rules {
    /// Those of the world at the head of this page: slip 0.1, -0.04 a step,
    /// γ = 0.95, T = 100.
    fn default() -> Rules {
        Rules {
            slip: 0.1,
            step: -0.04,
            discount: 0.95,
            time: 100,
        }
    }
}

/// A world of squares. See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The squares, row after row, as in [`MAP`].
    squares: Vec<u8>,
    /// Squares of a row.
    width: usize,
    rules: Rules,
}

/// One way in which a step may turn out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// How likely it is.
    pub probability: f64,
    /// The square that it leads to.
    pub state: usize,
    /// What it pays.
    pub reward: f64,
    /// Whether that is the end: goal or pit.
    pub ends: bool,
}

/// One step of an episode, seen from its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// The square.
    pub state: usize,
    /// The move that was chosen there.
    pub action: usize,
    /// γᵗ, with t the steps before this one.
    pub discount: f64,
    /// The reward to go, `G_t = Σ_{k≥t} γ^(k-t)·r_k`, up to the last step that
    /// was taken.
    pub to_go: f64,
}

/// What the best policy does.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// J of the best policy.
    pub value: f64,
    /// The policy (S,A): one move on each square has the probability 1.
    pub policy: Array2<f64>,
}

impl Default for Grid {
    /// The world at the head of this page.
    fn default() -> Grid {
        Grid::new(&MAP, Rules::default())
    }
}

impl Grid {
    /// A world of rows like those of [`MAP`].
    ///
    /// Panics unless the rows are equally long, hold `.#xGS` alone, and one S,
    /// or if a rule is out of its range.
    ///
    /// ```
    /// use backprop::discrete::reinforce::grid::{Grid, Rules};
    /// use ndarray::array;
    ///
    /// // A step to the right is the goal; it may slip, up or down, and stay.
    /// let rules = Rules { slip: 0.5, step: 0., discount: 0.5, time: 9 };
    /// let grid = Grid::new(&["SG"], rules);
    /// let right = array![[0., 1., 0., 0.], [0., 1., 0., 0.]];
    /// // v = 1/2·1 + 1/2·γ·v, so v = 2/3
    /// assert!((grid.value(right.view()) - 2. / 3.).abs() < 1e-12);
    /// assert!((grid.best().value - 2. / 3.).abs() < 1e-12);
    /// // within one step it is 1/2, within two 1/2 + 1/2·γ·1/2
    /// assert_eq!(grid.values(right.view(), 1)[0], 0.5);
    /// assert_eq!(grid.values(right.view(), 2)[0], 0.625);
    /// ```
    #[track_caller]
    pub fn new(rows: &[&str], rules: Rules) -> Grid {
        let squares: Vec<u8> = rows.iter().flat_map(|r| r.bytes()).collect();
        let width = rows.first().map_or(0, |r| r.len());
        assert!(
            rows.iter().all(|r| r.len() == width)
                && squares.iter().all(|s| b".#xGS".contains(s))
                && squares.iter().filter(|s| **s == b'S').count() == 1,
            "Grid: {rows:?} are not rows of one length of .#xG and one S"
        );
        assert!(
            (0. ..=1.).contains(&rules.slip)
                && rules.step.is_finite()
                && (0. ..1.).contains(&rules.discount),
            "Grid: {rules:?} are out of their range"
        );
        Grid {
            squares,
            width,
            rules,
        }
    }

    /// What holds here.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The number of squares S, numbered row after row.
    pub fn states(&self) -> usize {
        self.squares.len()
    }

    /// The square that an episode begins on.
    pub fn start(&self) -> usize {
        let start = self.squares.iter().position(|s| *s == b'S');
        start.expect("checked when it was made")
    }

    /// Whether somebody can stand on a square and choose.
    pub fn is_floor(&self, state: usize) -> bool {
        matches!(self.squares[state], b'.' | b'S')
    }

    /// How a move from a square may turn out: as it was meant, then to the
    /// left and to the right of that.
    ///
    /// Panics if `state` is no floor or `action` no move.
    #[track_caller]
    pub fn outcomes(&self, state: usize, action: usize) -> [Outcome; 3] {
        assert!(self.is_floor(state), "Grid: nobody stands on {state}");
        assert!(action < MOVES, "Grid: move {action} of {MOVES}");
        let side = self.rules.slip / 2.;
        let turns = [(0, 1. - self.rules.slip), (MOVES - 1, side), (1, side)];
        turns.map(|(turn, probability)| {
            let state = self.next(state, (action + turn) % MOVES);
            let (more, ends) = match self.squares[state] {
                b'G' => (1., true),
                b'x' => (-1., true),
                _ => (0., false),
            };
            let reward = self.rules.step + more;
            Outcome {
                probability,
                state,
                reward,
                ends,
            }
        })
    }

    /// The square that a move leads to if it does not slip.
    fn next(&self, state: usize, action: usize) -> usize {
        let (row, column) = (state / self.width, state % self.width);
        let rows = self.squares.len() / self.width;
        let next = match action {
            0 if row > 0 => state - self.width,
            1 if column + 1 < self.width => state + 1,
            2 if row + 1 < rows => state + self.width,
            3 if column > 0 => state - 1,
            _ => state,
        };
        match self.squares[next] {
            b'#' => state,
            _ => next,
        }
    }

    // ---- exact ----------------------------------------------------------

    /// What a move is worth where the squares are worth `values` (S):
    /// `Q(s,a) = Σ p·(r + γ·v_next)` over the outcomes, nothing after the end.
    #[track_caller]
    pub fn action_value(
        &self,
        values: ArrayView1<f64>,
        state: usize,
        action: usize,
    ) -> f64 {
        let worth = |o: Outcome| {
            let later = if o.ends { 0. } else { values[o.state] };
            o.probability * (o.reward + self.rules.discount * later)
        };
        self.outcomes(state, action).map(worth).iter().sum()
    }

    /// `γ·P_π` (S,S) and `r_π` (S) of a policy; an end leads nowhere.
    #[track_caller]
    fn chain(&self, policy: ArrayView2<f64>) -> (Array2<f64>, Array1<f64>) {
        let n = self.states();
        assert_eq!(policy.dim(), (n, MOVES), "Grid: the policy's shape");
        let (mut next, mut reward) = (Array2::zeros((n, n)), Array1::zeros(n));
        for s in (0..n).filter(|s| self.is_floor(*s)) {
            for (a, chosen) in policy.row(s).iter().enumerate() {
                for o in self.outcomes(s, a) {
                    let p = chosen * o.probability;
                    reward[s] += p * o.reward;
                    if !o.ends {
                        next[[s, o.state]] += self.rules.discount * p;
                    }
                }
            }
        }
        (next, reward)
    }

    /// What each square is worth (S) under `policy` (S,A) within `steps` steps:
    /// `v ← r_π + γ·P_π·v`, so many times from zeros on. Squares on which
    /// nobody can stand are worth 0.
    ///
    /// Panics if the shape of `policy` is wrong.
    #[track_caller]
    pub fn values(&self, policy: ArrayView2<f64>, steps: usize) -> Array1<f64> {
        let (next, reward) = self.chain(policy);
        let zeros = Array1::zeros(self.states());
        (0..steps).fold(zeros, |v, _| next.dot(&v) + &reward)
    }

    /// J of `policy` (S,A), to rounding: [`Grid::values`] within so many steps
    /// that later ones no longer count.
    ///
    /// Panics if the shape of `policy` is wrong.
    #[track_caller]
    pub fn value(&self, policy: ArrayView2<f64>) -> f64 {
        self.values(policy, self.all_time())[self.start()]
    }

    /// The best policy, and what it is worth, to rounding: value iteration,
    /// `v_s ← max_a Q(s,a)`, as many times. Of moves equally good the first is taken.
    pub fn best(&self) -> Best {
        let n = self.states();
        let best = |v: &Array1<f64>, s| match self.is_floor(s) {
            true => (0..MOVES)
                .map(|a| self.action_value(v.view(), s, a))
                .fold(f64::NEG_INFINITY, f64::max),
            false => 0.,
        };
        let sweep = |v, _| (0..n).map(|s| best(&v, s)).collect();
        let v = (0..self.all_time()).fold(Array1::zeros(n), sweep);
        let mut policy = Array2::zeros((n, MOVES));
        for s in 0..n {
            let good = |a: &usize| {
                // equal but for rounding is equal
                self.is_floor(s)
                    && self.action_value(v.view(), s, *a) > v[s] - 1e-10
            };
            policy[[s, (0..MOVES).find(good).unwrap_or(0)]] = 1.;
        }
        Best {
            value: v[self.start()],
            policy,
        }
    }

    /// Steps after which what is still to come is lost in rounding:
    /// `γᵏ ≤ 1e-16`.
    fn all_time(&self) -> usize {
        let steps = 1e-16_f64.ln() / self.rules.discount.ln();
        steps.ceil().max(1.) as usize
    }

    // ---- sampled --------------------------------------------------------

    /// Plays an episode by `policy` (S,A), each row of which sums to 1: adds
    /// its visits, in their order, to `visits`, and returns its return `G_0`.
    ///
    /// Panics if the shape of `policy` is wrong.
    #[track_caller]
    pub fn play(
        &self,
        policy: ArrayView2<f64>,
        rng: &mut Rng,
        visits: &mut Vec<Visit>,
    ) -> f64 {
        assert_eq!(policy.dim(), (self.states(), MOVES), "Grid: the policy");
        let first = visits.len();
        let (mut state, mut discount) = (self.start(), 1.);
        for _ in 0..self.rules.time {
            let action = choose(policy.row(state).iter().copied(), rng);
            let outcomes = self.outcomes(state, action);
            let o = outcomes[choose(outcomes.map(|o| o.probability), rng)];
            visits.push(Visit {
                state,
                action,
                discount,
                to_go: o.reward,
            });
            (state, discount) = (o.state, discount * self.rules.discount);
            if o.ends {
                break;
            }
        }
        visits[first..].iter_mut().rev().fold(0., |later, visit| {
            visit.to_go += self.rules.discount * later;
            visit.to_go
        })
    }

    // ---- shown ----------------------------------------------------------

    /// The world with an arrow on each square on which somebody can stand: the
    /// move that `policy` (S,A) most probably makes; of equal ones the first.
    ///
    /// ```
    /// use backprop::discrete::reinforce::grid::{Grid, Rules};
    ///
    /// let grid = Grid::new(&["S.x", "..G"], Rules::default());
    /// // down first: from beside the pit it might slip into it
    /// assert_eq!(grid.picture(grid.best().policy.view()), "↓↓x\n→→G\n");
    /// ```
    #[track_caller]
    pub fn picture(&self, policy: ArrayView2<f64>) -> String {
        let mut picture = String::new();
        for (s, square) in self.squares.iter().enumerate() {
            let row = policy.row(s);
            let most = (0..MOVES)
                .fold(0, |most, a| if row[a] > row[most] { a } else { most });
            picture.push(match self.is_floor(s) {
                true => ARROWS[most],
                false => char::from(*square),
            });
            if (s + 1) % self.width == 0 {
                picture.push('\n');
            }
        }
        picture
    }
}

/// An index, as likely as `probabilities` say, which sum to 1; an impossible
/// one is never chosen, whatever the rounding.
fn choose(
    probabilities: impl IntoIterator<Item = f64>,
    rng: &mut Rng,
) -> usize {
    let (mut left, mut last) = (rng.random::<f64>(), 0);
    for (i, p) in probabilities.into_iter().enumerate() {
        if p > 0. {
            last = i;
            if left < p {
                return i;
            }
        }
        left -= p;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random;

    /// From the middle of
    ///
    /// ```text
    /// .G.
    /// #Sx
    /// ```
    fn outcomes_of(action: usize) -> [(f64, usize, f64, bool); 3] {
        let rules = Rules {
            slip: 0.5,
            step: -0.25,
            ..Rules::default()
        };
        let grid = Grid::new(&[".G.", "#Sx"], rules);
        let plain = |o: Outcome| (o.probability, o.state, o.reward, o.ends);
        grid.outcomes(4, action).map(plain)
    }

    #[test]
    fn a_move_slips_to_either_side() {
        let (goal, pit) = ((1, 0.75, true), (5, -1.25, true));
        let stay = (4, -0.25, false); // at a wall, and at the edge
        for (action, [meant, left, right]) in [
            [goal, stay, pit],
            [pit, goal, stay],
            [stay, pit, stay],
            [stay, stay, goal],
        ]
        .into_iter()
        .enumerate()
        {
            let with = |p, (s, r, end)| (p, s, r, end);
            let want = [with(0.5, meant), with(0.25, left), with(0.25, right)];
            assert_eq!(outcomes_of(action), want, "move {action}");
        }
    }

    /// Rewards to go by hand: a corridor of three steps without slipping.
    #[test]
    fn an_episode_is_seen_from_its_end() {
        let rules = |time| Rules {
            slip: 0.,
            step: -0.5,
            discount: 0.5,
            time,
        };
        let mut right = Array2::zeros((4, MOVES));
        right.column_mut(1).fill(1.);
        let play = |time| {
            let grid = Grid::new(&["S..G"], rules(time));
            let (mut rng, mut visits) = (random::rng(1), Vec::new());
            // appended to what is there
            let first = grid.play(right.view(), &mut rng, &mut visits);
            let again = grid.play(right.view(), &mut rng, &mut visits);
            assert_eq!(first, again);
            assert_eq!(first, grid.values(right.view(), time)[0]);
            (first, visits)
        };
        let visit = |state, discount, to_go| Visit {
            state,
            action: 1,
            discount,
            to_go,
        };
        // rewards -1/2, -1/2, 1/2
        let whole = [
            visit(0, 1., -0.625),
            visit(1, 0.5, -0.25),
            visit(2, 0.25, 0.5),
        ];
        let (value, visits) = play(100);
        assert_eq!((value, &visits), (-0.625, &[whole, whole].concat()));
        // cut off after two: neither the goal's reward nor a punishment
        let cut = [visit(0, 1., -0.75), visit(1, 0.5, -0.5)];
        let (value, visits) = play(2);
        assert_eq!((value, &visits), (-0.75, &[cut, cut].concat()));
        let (value, visits) = play(0);
        assert!(value == 0. && visits.is_empty());
    }

    /// Among all that choose one move on each square, by trying all of them.
    #[test]
    fn nothing_is_better_than_the_best() {
        for (slip, rows) in [(0.3, ["S.", "xG"]), (0.1, [".x", "SG"])] {
            let rules = Rules {
                slip,
                ..Rules::default()
            };
            let grid = Grid::new(&rows, rules);
            let (best, n) = (grid.best(), grid.states());
            let mut most = f64::NEG_INFINITY;
            for all in 0..MOVES.pow(n as u32) {
                let mut policy = Array2::zeros((n, MOVES));
                for s in 0..n {
                    let a = all / MOVES.pow(s as u32) % MOVES;
                    policy[[s, a]] = 1.;
                }
                most = most.max(grid.value(policy.view()));
            }
            assert!((best.value - most).abs() < 1e-12, "{best:?}, {most}");
            let own = grid.value(best.policy.view());
            assert!((own - most).abs() < 1e-12, "{own}, {most}");
        }
    }

    /// What is cut off is at most what the module says.
    #[test]
    fn the_end_of_time_is_far() {
        let grid = Grid::default();
        let even = Array2::from_elem((25, MOVES), 0.25);
        let best = grid.best();
        for (policy, most) in [(even, 0.0108), (best.policy, 1e-9)] {
            let within = grid.values(policy.view(), grid.rules.time);
            let all = grid.value(policy.view());
            let left = (within[grid.start()] - all).abs();
            assert!(left < most, "{left}");
        }
    }

    #[test]
    #[should_panic(expected = "are not rows")]
    fn a_world_has_one_start() {
        Grid::new(&["S.", "SG"], Rules::default());
    }

    #[test]
    #[should_panic(expected = "out of their range")]
    fn without_a_discount_a_sum_need_not_end() {
        let rules = Rules {
            discount: 1.,
            ..Rules::default()
        };
        Grid::new(&["SG"], rules);
    }

    #[test]
    #[should_panic(expected = "nobody stands on 1")]
    fn nobody_goes_on_from_the_goal() {
        Grid::new(&["SG"], Rules::default()).outcomes(1, 0);
    }
}
