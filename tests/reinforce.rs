//! The numbers of the chapter on the score function, by enumeration.

use backprop::discrete::reinforce::kl::{self, Estimator};
use backprop::discrete::reinforce::ppo::{self, Drawn};
use backprop::discrete::reinforce::world::{Course, World};
use backprop::discrete::reinforce::{
    Moments, bernoulli, best_baseline, draw, entropy, entropy_vjp, log_prob,
    log_prob_vjp, loss_vjp, mean_reward, mean_reward_vjp, moments, returns,
    score,
};
use backprop::engine::random;
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, Axis, arr1, arr2};

const THETA: [f64; 3] = [0.5, -0.2, 0.1];
const REWARDS: [f64; 3] = [2., -1., 0.5];

/// The three actions' probabilities.
fn policy() -> Array1<f64> {
    softmax::forward(arr2(&[THETA]).view()).remove_axis(Axis(0))
}

fn near<'a>(
    got: impl IntoIterator<Item = &'a f64>,
    want: impl IntoIterator<Item = f64>,
    tolerance: f64,
) {
    let got: Vec<f64> = got.into_iter().copied().collect();
    let want: Vec<f64> = want.into_iter().collect();
    assert_eq!(got.len(), want.len());
    let off = |(g, w): (&f64, &f64)| (g - w).abs() <= tolerance;
    assert!(got.iter().zip(&want).all(off), "{got:?}, not {want:?}");
}

/// Golden F, and the baseline with the least variance.
#[test]
fn a_baseline_moves_the_variance_and_not_the_mean() {
    let (p, r) = (policy(), arr1(&REWARDS));
    let mean = p.dot(&r);
    near(&[mean], [0.848479], 1e-6);
    let exact = [0.531412, -0.423612, -0.107800];
    let of = |b: f64| moments(p.view(), |a| score(p.view(), a) * (r[a] - b));
    for b in [0., mean, 0.489, 100., -7.] {
        near(&of(b).mean, exact, 1e-6);
    }
    let best = best_baseline(p.view(), r.view());
    near(&[best], [0.489], 5e-4);
    near(
        &[best, mean, 0.].map(|b| of(b).variance),
        [0.447, 0.530, 0.600],
        5e-4,
    );
    for other in [best - 0.01, best + 0.01] {
        assert!(of(other).variance > of(best).variance);
    }
    // The score itself has the mean 0.
    near(
        &moments(p.view(), |a| score(p.view(), a)).mean,
        [0.; 3],
        1e-15,
    );
    // A baseline that hangs on the action biases: here all is gone.
    let gone = moments(p.view(), |a| score(p.view(), a) * (r[a] - r[a]));
    near(&gone.mean, [0.; 3], 0.);
}

/// A baseline `b = J(θ)` whose own gradient is added: `(1 + H)·∇J`.
#[test]
fn a_baseline_that_is_not_detached_scales_the_gradient() {
    let (p, r) = (policy(), arr1(&REWARDS));
    let h = entropy(arr2(&[THETA]).view())[0];
    near(&[h], [1.057455], 1e-6);
    let j = p.dot(&r);
    let row = |a: &Array1<f64>| a.clone().insert_axis(Axis(0));
    let one = arr1(&[1.]);
    let dj = mean_reward_vjp(row(&p).view(), row(&r).view(), one.view());
    let dj = dj.remove_axis(Axis(0));
    let m = moments(p.view(), |a| {
        score(p.view(), a) * (r[a] - j) - &dj * p[a].ln()
    });
    near(&m.mean, dj.iter().map(|d| d * (1. + h)), 1e-14);
    near(&[m.mean[0] / dj[0]], [2.057455], 1e-6);
}

/// `E[-ln π(a)]` is the entropy; what its samples' derivatives have as mean is
/// not the entropy's gradient, but 0.
#[test]
fn the_entropy_of_a_sample_has_no_gradient() {
    let p = policy();
    near(
        &moments(p.view(), |a| -score(p.view(), a)).mean,
        [0.; 3],
        1e-15,
    );
    let log_p = p.ln().insert_axis(Axis(0));
    let exact = entropy_vjp(log_p.view(), arr1(&[1.]).view());
    let right = moments(p.view(), |a| score(p.view(), a) * -p[a].ln());
    near(&right.mean, exact, 1e-15);
}

/// W-052 and W-090: the Bernoulli node, and 10,000 draws of it.
#[test]
fn the_bernoulli_node() {
    for (theta, mean, variance, best) in [
        (0., 0.25, 0.0625, 0.5),
        (3f64.ln(), 0.1875, 0.01171875, 0.25),
    ] {
        let m = bernoulli::moments(theta, 0.);
        near(&[m.mean[0], m.variance], [mean, variance], 1e-15);
        let m = bernoulli::moments(theta, best);
        near(&[m.mean[0], m.variance], [mean, 0.], 1e-15);
        let mut rng = random::rng(20);
        let n = 10_000;
        let u: Array1<f64> = random::uniform(&mut rng, n, 0., 1.);
        let sum: f64 = u
            .iter()
            .map(|u| bernoulli::draw(theta, *u))
            .map(|z| bernoulli::estimate(theta, 0., z))
            .sum();
        let error = (variance / n as f64).sqrt();
        assert!((sum / n as f64 - mean).abs() < 4. * error);
    }
    let error = (0.0625f64 / 10_000.).sqrt();
    near(&[error], [0.0025], 1e-18);
}

/// A draw by `u` falls on each action as often as its probability says.
#[test]
fn draws_have_their_probabilities() {
    let p = policy();
    let n = 100_000;
    let mut counts = [0usize; 3];
    for k in 0..n {
        counts[draw(p.view(), (k as f64 + 0.5) / n as f64)] += 1;
    }
    let shares = counts.map(|c| c as f64 / n as f64);
    near(&shares, p, 1.01 / n as f64);
    assert_eq!(draw(arr1(&[0., 1., 0.]).view(), 0.), 1);
    assert_eq!(
        draw(arr1(&[0.3, 0.7 - 1e-9, 0.]).view(), 0.999_999_999_9),
        1
    );
}

/// Golden G: two binary steps; a row (0, θ) has P(a = 1) = σ(θ).
fn two_steps() -> (World, Array2<f64>) {
    let world = World {
        start: 0,
        next: arr2(&[[1, 2], [1, 1], [2, 2]]),
        reward: arr2(&[[1., -2.], [0.5, 2.], [-1., 3.]]),
        steps: 2,
    };
    (world, arr2(&[[0., 0.3], [0., -0.4], [0., 0.8]]))
}

fn to_go(c: &Course, gamma: f64) -> Vec<f64> {
    let r = ArrayView1::from(&c.rewards);
    returns::to_go(r, gamma).to_vec()
}

/// The gradients of the three θ among those of all logits.
fn of_theta(m: &Moments) -> [f64; 3] {
    [m.mean[1], m.mean[3], m.mean[5]]
}

#[test]
fn what_a_decision_is_credited_with() {
    let (world, x) = two_steps();
    let m =
        |credit: &dyn Fn(&Course) -> Vec<f64>| world.moments(x.view(), credit);
    let exact = [-0.572539, 0.153367, 0.491515];
    let gradient = world.gradient(x.view(), 1.);
    near(
        &[gradient[[0, 1]], gradient[[1, 1]], gradient[[2, 1]]],
        exact,
        1e-6,
    );
    let full = m(&|c| vec![c.rewards.iter().sum(); 2]);
    let later = m(&|c| to_go(c, 1.));
    near(&of_theta(&full), exact, 1e-6);
    near(&of_theta(&later), exact, 1e-6);
    // Of (0, θ) both logits are counted: twice the variance of θ alone.
    let halves = [full.variance, later.variance].map(|v| v / 2.);
    near(&halves, [1.91, 1.15], 5e-3);
    // The mean of ln π times the sum of the returns.
    let mean_log_p = m(&|c| vec![to_go(c, 1.).iter().sum::<f64>() / 2.; 2]);
    let weighted = [-0.205851, 0.153367, 0.491515];
    near(&of_theta(&mean_log_p), weighted, 1e-6);
    let t_over_t = World {
        reward: {
            let mut r = world.reward.clone();
            r.row_mut(0).mapv_inplace(|r| r / 2.);
            r
        },
        ..world.clone()
    };
    let d = t_over_t.gradient(x.view(), 1.);
    near(&[d[[0, 1]], d[[1, 1]], d[[2, 1]]], weighted, 1e-6);
    // Reward to go with γ, and with γ^t before it.
    let without = m(&|c| to_go(c, 0.9));
    let with = m(&|c| {
        let g = to_go(c, 0.9);
        vec![g[0], 0.9 * g[1]]
    });
    near(&of_theta(&without)[1..], [0.1534, 0.4915], 5e-5);
    near(&of_theta(&with)[1..], [0.1380, 0.4424], 5e-5);
    let d = world.gradient(x.view(), 0.9);
    near(&[d[[0, 1]], d[[1, 1]], d[[2, 1]]], of_theta(&with), 1e-14);
    // Centred and scaled within the episode: ±1 at two steps, by n.
    let whitened = |c: &Course| {
        let g = to_go(c, 1.);
        let mean = (g[0] + g[1]) / 2.;
        let std = ((g[0] - mean).powi(2) + (g[1] - mean).powi(2)) / 2.;
        g.iter().map(|g| (g - mean) / std.sqrt()).collect()
    };
    near(&of_theta(&m(&whitened))[1..], [0., 0.], 1e-15);
    // The reward of the step before.
    let shifted = m(&|c| vec![c.rewards[0], c.rewards[0]]);
    near(&of_theta(&shifted)[1..], [0., 0.], 1e-15);
}

#[test]
fn the_gradient_of_a_world_agrees_with_differences() {
    let world = World {
        start: 1,
        next: arr2(&[[1, 2, 0], [2, 0, 1], [0, 0, 2]]),
        reward: arr2(&[[1., -0.5, 2.], [0.3, 1.2, -1.], [0., 2., -0.7]]),
        steps: 3,
    };
    let mut x = arr2(&[[0.3, -0.7, 1.], [0.2, 0.5, -0.4], [0., 1.2, -0.3]]);
    for gamma in [1., 0.8] {
        let d = world.gradient(x.view(), gamma);
        for at in [(0, 0), (1, 2), (2, 1)] {
            let value = x[at];
            x[at] = value + 1e-5;
            let up = world.mean_return(x.view(), gamma);
            x[at] = value - 1e-5;
            let down = world.mean_return(x.view(), gamma);
            x[at] = value;
            near(&[d[at]], [(up - down) / 2e-5], 1e-9);
        }
        let by_score = world.moments(x.view(), |c| {
            let g = to_go(c, gamma).into_iter().enumerate();
            g.map(|(t, g)| g * gamma.powi(t as i32)).collect()
        });
        near(&by_score.mean, d, 1e-14);
    }
}

/// (K - 1)/K exactly for the group's own mean, and 1 without the own reward.
#[test]
fn group_baselines() {
    let (p, r) = (policy(), arr1(&REWARDS));
    let row = |a: &Array1<f64>| a.clone().insert_axis(Axis(0));
    let one = arr1(&[1.]);
    let dj = mean_reward_vjp(row(&p).view(), row(&r).view(), one.view());
    for (group, ratio) in [(2, 0.5), (3, 2. / 3.), (4, 0.75)] {
        for (of, ratio) in [
            (returns::own_mean as Advantages, ratio),
            (returns::leave_one_out, 1.),
        ] {
            let m = in_groups(&p, &r, group, of);
            near(&m.mean, dj.iter().map(|d| d * ratio), 1e-14);
        }
    }
    let same = arr2(&[[2., 2., 2.]]);
    near(&returns::leave_one_out(same.view()), [0.; 3], 0.);
    near(&returns::standardised(same.view(), 1e-4), [0.; 3], 0.);
    let std = returns::standardised(arr2(&[[1., 3.]]).view(), 0.);
    near(&std, [-0.5f64.sqrt(), 0.5f64.sqrt()], 1e-15);
}

type Advantages = fn(ndarray::ArrayView2<f64>) -> Array2<f64>;

/// The mean estimate of a group of independent draws, over all groups.
fn in_groups(
    p: &Array1<f64>,
    r: &Array1<f64>,
    group: u32,
    advantages: Advantages,
) -> Moments {
    let k = p.len();
    let all = (0..k.pow(group)).map(|code| {
        let actions = (0..group).map(|g| code / k.pow(g) % k);
        let actions: Vec<_> = actions.collect();
        let of: Array1<f64> = actions.iter().map(|a| r[*a]).collect();
        let of = advantages(of.view().insert_axis(Axis(0)));
        let p_all: f64 = actions.iter().map(|a| p[*a]).product();
        let rows = p.broadcast((group as usize, k)).expect("rows");
        let dx = loss_vjp(rows, &actions, of.row(0), -1.);
        (p_all, dx.sum_axis(Axis(0)))
    });
    Moments::of(&all.collect::<Vec<_>>())
}

#[test]
fn generalised_advantages() {
    let (r, v) = (arr1(&[1., 2., -1., 0.5]), arr1(&[0.3, 0.6, -0.2, 0.4]));
    let ended = [false, true, false, false];
    let of = |next: f64, ended: &[bool], gamma: f64, lambda: f64| {
        returns::gae(r.view(), v.view(), next, ended, gamma, lambda)
    };
    near(
        &of(0.9, &ended, 0.9, 0.8),
        [2.248, 1.4, 0.2152, 0.91],
        1e-12,
    );
    // λ = 1: the return less the value; λ = 0: one step.
    let open = [false; 4];
    let mut g =
        returns::to_go(arr1(&[1., 2., -1., 0.5 + 0.9 * 0.9]).view(), 0.9);
    g -= &v;
    near(&of(0.9, &open, 0.9, 1.), g, 1e-14);
    let one = [1. + 0.54 - 0.3, 2. - 0.18 - 0.6, -1. + 0.36 + 0.2, 0.91];
    near(&of(0.9, &open, 0.9, 0.), one, 1e-14);
    // The carry begun with V(s_T), which δ holds already.
    let twice: Vec<f64> = (0..4)
        .map(|t| 0.72f64.powi(4 - t) * 0.9)
        .zip(of(0.9, &open, 0.9, 0.8))
        .map(|(extra, a)| a + extra)
        .collect();
    let mut carry = 0.9;
    let mut after = 0.9;
    for t in (0..4).rev() {
        carry = r[t] + 0.9 * after - v[t] + 0.72 * carry;
        after = v[t];
        near(&[carry], [twice[t]], 1e-14);
    }
}

/// Estimates of KL, and what they are when differentiated.
#[test]
fn three_estimators_of_a_divergence() {
    let (x, y) = (arr2(&[THETA]), arr2(&[[-0.6, 0.9, 0.2]]));
    let [log_p, log_q] = [&x, &y].map(|x| softmax::log_softmax(x.view()));
    let (p, one) = (policy(), arr1(&[1.]));
    let kl = kl::divergence(x.view(), y.view())[0];
    let (forward, _) =
        kl::divergence_vjp(log_p.view(), log_q.view(), one.view());
    let (_, reverse) =
        kl::divergence_vjp(log_q.view(), log_p.view(), one.view());
    near(&forward, [0.403978, -0.303560, -0.100419], 1e-6);
    near(&reverse, [0.331739, -0.352324, 0.020584], 1e-6);
    let of = |k: Estimator| {
        let log_q = |a: usize| arr1(&[log_q[[0, a]]]);
        let value = moments(p.view(), |a| {
            kl::estimate(x.view(), log_q(a).view(), &[a], k)
        });
        let slope = moments(p.view(), |a| {
            let (q, a) = (log_q(a), [a]);
            kl::estimate_vjp(log_p.view(), q.view(), &a, k, one.view())
                .remove_axis(Axis(0))
        });
        (value, slope.mean)
    };
    let (value, slope) = of(Estimator::K1);
    near(&[value.mean[0], value.variance], [kl, 0.788], 5e-4);
    near(&slope, [0.; 3], 1e-15);
    let (value, slope) = of(Estimator::K2);
    assert!((value.mean[0] - kl).abs() > 0.05);
    near(&slope, forward, 1e-15);
    let (value, slope) = of(Estimator::K3);
    near(&[value.mean[0]], [kl], 1e-15);
    near(&[value.variance], [0.069], 5e-4);
    near(&slope, reverse, 1e-15);
    // Where both policies are one, all of this vanishes.
    let (same, _) = kl::divergence_vjp(log_p.view(), log_p.view(), one.view());
    near(&same, [0.; 3], 1e-15);
}

/// Probabilities handed over as logits: of three actions none can pass .576.
#[test]
fn probabilities_are_no_logits() {
    let certain = softmax::forward(arr2(&[[900., 0., 0.]]).view());
    near(&[softmax::forward(certain.view())[[0, 0]]], [0.576], 2e-4);
}

/// R (N) less V (N,1) is a matrix, whose mean takes mean(R) - V_i for R_i - V_i.
#[test]
fn rewards_less_a_column_of_values() {
    let (r, v) = (arr1(&[1., 2., 4.]), arr2(&[[0.5], [0.5], [1.]]));
    let wide = &r - &v;
    assert_eq!(wide.dim(), (3, 3));
    let mean = wide.mean_axis(Axis(1)).expect("three columns");
    near(&mean, [11. / 6., 11. / 6., 4. / 3.], 1e-15);
    let right = &r - &v.column(0);
    near(&right, [0.5, 1.5, 3.], 0.);
}

/// Which factor PPO gives the score, for each ratio and sign of the advantage.
#[test]
fn ppo_clips_where_the_product_is_larger() {
    let p = policy().insert_axis(Axis(0));
    let factor = |ratio: f64, a: f64| {
        let old = arr1(&[(p[[0, 1]] / ratio).ln()]);
        let (none, advantage, all) = (arr1(&[0.]), arr1(&[a]), arr1(&[1.]));
        let of = Drawn {
            actions: &[1],
            old: old.view(),
            reference: none.view(),
            advantages: advantage.view(),
            weights: all.view(),
            eps: 0.2,
            beta: 0.,
        };
        -ppo::loss_vjp(p.view(), of, 1.)[[0, 1]] / (1. - p[[0, 1]])
    };
    let ratios = [0.5, 1.0, 1.5];
    near(&ratios.map(|r| factor(r, 1.)), [0.5, 1., 0.], 1e-12);
    near(&ratios.map(|r| factor(r, -1.)), [0., -1., -1.5], 1e-12);
}

/// Lengths 2 and 6: a token's weight is 1/4 and 1/12, or 1/8.
#[test]
fn weights_of_tokens() {
    let each = ppo::per_sequence(&[2, 6]);
    near(&[each[0], each[2]], [1. / 4., 1. / 12.], 1e-16);
    near(&ppo::per_token(&[2, 6]), [0.125; 8], 0.);
}

/// GRPO at ratio 1 with a group's advantages: its value is 0 without the
/// penalty, its gradient is not.
#[test]
fn a_loss_of_zero_with_a_gradient() {
    let x = arr2(&[THETA, THETA]);
    let p = softmax::forward(x.view());
    let actions = [0, 1];
    let old = log_prob(x.view(), &actions);
    let advantages = returns::own_mean(arr2(&[[2., -1.]]).view());
    let weights = arr1(&[0.5, 0.5]);
    let of = Drawn {
        actions: &actions,
        old: old.view(),
        reference: old.view(),
        advantages: advantages.row(0),
        weights: weights.view(),
        eps: 0.2,
        beta: 0.,
    };
    near(&[ppo::loss(x.view(), of)], [0.], 1e-16);
    let dx = ppo::loss_vjp(p.view(), of, 1.);
    let plain = loss_vjp(p.view(), &actions, advantages.row(0), 1.);
    near(&dx, plain, 1e-15);
    assert!(dx.iter().all(|d| d.abs() > 0.01));
}

/// Told only "right" or "wrong": the mean gradient is cross-entropy's, times
/// the probability of being right.
#[test]
fn right_or_wrong_is_cross_entropy_times_p() {
    let x = arr2(&[THETA]);
    let p = softmax::forward(x.view());
    let told = arr2(&[[0., 1., 0.]]);
    let dj = mean_reward_vjp(p.view(), told.view(), arr1(&[1.]).view());
    near(&dj, (&told - &p) * p[[0, 1]], 1e-16);
    near(&mean_reward(x.view(), told.view()), [p[[0, 1]]], 1e-16);
}

#[test]
#[should_panic(expected = "the actions [3] do not fit")]
fn an_action_that_is_none() {
    log_prob_vjp(arr2(&[THETA]).view(), &[3], arr1(&[1.]).view());
}
