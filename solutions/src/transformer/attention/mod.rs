//! Attention.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/transformer/attention.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::network::softmax_cross_entropy as softmax;
use examiner::calculus::chain_rule::mistakes::FACTORS_SWAPPED;
use examiner::general::{
    ALL_ZERO, GRAD_OVERWRITTEN, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED,
    TRANSPOSED, WRONG_BUG,
};
use examiner::network::linear::mistakes::TRANSPOSE_MISSING;
use examiner::network::softmax_cross_entropy::mistakes::{
    DIAGONAL_DROPPED, DIAGONAL_JACOBIAN, DOT_DROPPED, JACOBIAN_SKIPPED,
    LOGITS_CLIPPED, LOGITS_FOR_PROBABILITIES, ONE_DOT_FOR_BATCH,
    PLAIN_SUM_FOR_DOT, PROBABILITY_FACTOR_DROPPED, SOFTMAX_AXIS,
    SUM_NOT_DIFFERENCE,
};
use examiner::submission::Submissions;
use examiner::transformer::attention as exam;
use examiner::transformer::attention::mistakes::{
    ATTN_SCALE_MISSING, CAUSAL_ALIGNMENT, CROSS_SOURCE, GQA_NOT_SUMMED,
    GQA_TILED, HEADS_NOT_TRANSPOSED, INPUT_PATH_FORGOTTEN, MASK_AFTER_SOFTMAX,
    MASK_FORGOTTEN, MASK_FULL_ROW, MASK_INVERTED, MASK_OFF_BY_ONE,
    MASK_TO_ZERO, QKV_LAYOUT, SCALE_AFTER_SOFTMAX, SCALE_OF_MODEL_WIDTH,
};
use ndarray::{Array2, Axis, concatenate, s};

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        (answer::READS, answer::SEEN, answer::TRUE),
        (stub::READS, stub::SEEN, stub::TRUE),
    )
    .wrong(&GQA_TILED, (Some([0, 1, 0, 1, 0, 1]), None, None))
    .wrong(&CAUSAL_ALIGNMENT, (answer::READS, Some([1, 2, 3]), None))
    .wrong(&MASK_OFF_BY_ONE, (answer::READS, Some([4, 5, 6]), None))
    .wrong(&MASK_FORGOTTEN, (answer::READS, Some([7, 7, 7]), None))
    .wrong(&MASK_INVERTED, (answer::READS, Some([3, 2, 1]), None))
    .wrong(&MASK_OFF_BY_ONE, (answer::READS, Some([6, 7, 7]), None))
    .odd("all true", (answer::READS, answer::SEEN, Some([true; 4])))
    .odd(
        "nothing true",
        (answer::READS, answer::SEEN, Some([false; 4])),
    );
    all.task("forward", &exam::FORWARD, answer::forward, stub::forward)
        .right("loops", alt::forward_loops)
        .right("transposed", alt::forward_transposed)
        .wrong(&ATTN_SCALE_MISSING, twins::no_scale)
        .wrong(&ATTN_SCALE_MISSING, twins::divided_by_width)
        .wrong(&RESHAPED_NOT_TRANSPOSED, |q, k, v| {
            let numbers = k.iter().copied().collect::<Vec<_>>();
            let shape = (k.ncols(), k.nrows());
            let turned = Array2::from_shape_vec(shape, numbers).unwrap();
            let s = q.dot(&turned) / (q.ncols() as f64).sqrt();
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        })
        .wrong(&LOGITS_FOR_PROBABILITIES, |q, k, v| {
            let (_, p) = answer::forward(q, k, v);
            let mut y = Array2::zeros((q.nrows(), v.ncols()));
            for ((t, n), _) in p.indexed_iter() {
                let score = q.row(t).dot(&k.row(n)) / (q.ncols() as f64).sqrt();
                y.row_mut(t).scaled_add(score, &v.row(n));
            }
            (y, p)
        })
        .wrong(&LOGITS_CLIPPED, |q, k, v| {
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let p = softmax::forward(s.mapv(|s| s.clamp(-700., 700.)).view());
            (p.dot(&v), p)
        })
        .wrong(&SCALE_OF_MODEL_WIDTH, |q, k, v| {
            let s = q.dot(&k.t()) / (v.ncols() as f64).sqrt();
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        })
        .odd("a shift above 700 only", |q, k, v| {
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let most = s.fold_axis(Axis(1), f64::MIN, |m, v| m.max(*v));
            let most = most.mapv(|m| if m > 700. { m } else { 0. });
            let e = (&s - &most.insert_axis(Axis(1))).exp();
            let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
            (p.dot(&v), p)
        })
        .odd("nothing for keys far below the best", |q, k, v| {
            let (_, p) = answer::forward(q, k, v);
            let p = p.mapv(|p| if p < 1e-8 { 0. } else { p });
            (p.dot(&v), p)
        })
        .wrong(&SCALE_AFTER_SOFTMAX, twins::scale_outside)
        .wrong(&SOFTMAX_AXIS, twins::over_the_queries)
        .wrong(&TRANSPOSE_MISSING, |q, k, v| match k.nrows() == k.ncols() {
            true => twins::keys_not_transposed(q, k, v),
            false => answer::forward(q, k, v),
        })
        .wrong(&TRANSPOSED, |q, k, v| {
            let (y, p) = answer::forward(q, k, v);
            (y, p.reversed_axes())
        })
        .odd("exponentials without a shift", |q, k, v| {
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let e = s.mapv(f64::exp);
            let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
            (p.dot(&v), p)
        })
        .odd("at most eight keys", |q, k, v| {
            let n = k.nrows().min(8);
            let (k, v) = (k.slice(s![..n, ..]), v.slice(s![..n, ..]));
            answer::forward(q, k, v)
        })
        .odd("scores clipped at 20", |q, k, v| {
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let s = s.mapv(|s| s.clamp(-20., 20.));
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        });
    all.task("vjp", &exam::VJP, answer::vjp, stub::vjp)
        .right("loops", alt::vjp_loops)
        .right("by the Jacobian", alt::vjp_by_jacobian)
        .wrong(&ATTN_SCALE_MISSING, twins::vjp_no_scale)
        .wrong(&ATTN_SCALE_MISSING, twins::vjp_scaled_twice)
        .wrong(&ATTN_SCALE_MISSING, twins::vjp_scale_on_queries_only)
        .wrong(&SOFTMAX_AXIS, twins::vjp_sum_down_columns)
        .wrong(&DIAGONAL_JACOBIAN, twins::vjp_diagonal)
        .wrong(&DOT_DROPPED, twins::vjp_no_dot)
        .wrong(&SUM_NOT_DIFFERENCE, twins::vjp_plus)
        .wrong(&JACOBIAN_SKIPPED, twins::vjp_no_softmax)
        .wrong(&PLAIN_SUM_FOR_DOT, twins::vjp_plain_sum)
        .wrong(&PROBABILITY_FACTOR_DROPPED, twins::vjp_no_probability)
        .wrong(&ONE_DOT_FOR_BATCH, twins::vjp_one_dot)
        .wrong(&TRANSPOSE_MISSING, twins::vjp_dk_not_turned)
        .wrong(&TRANSPOSE_MISSING, twins::vjp_dv_not_turned)
        .wrong(&FACTORS_SWAPPED, twins::vjp_own_factor)
        .wrong(&GRAD_OVERWRITTEN, twins::vjp_assigned)
        .wrong(&SIGN_FLIPPED, |q, k, v, p, dy| {
            let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
            (-dq, -dk, dv)
        })
        .wrong(&ALL_ZERO, |q, k, v, p, dy| {
            let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
            (dq * 0., dk * 0., dv)
        })
        .wrong(&MASK_FORGOTTEN, |q, k, v, _, dy| {
            let (_, p) = answer::forward(q, k, v);
            answer::vjp(q, k, v, p.view(), dy)
        })
        .wrong(&LOGITS_FOR_PROBABILITIES, |q, k, v, p, dy| {
            let (dq, dk, _) = answer::vjp(q, k, v, p, dy);
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            (dq, dk, s.t().dot(&dy))
        })
        .odd("a probability below 1e-6 is hidden", |q, k, v, p, dy| {
            let seen = p.mapv(|p| if p < 1e-6 { 0. } else { p });
            let (dq, dk, _) = answer::vjp(q, k, v, seen.view(), dy);
            (dq, dk, p.t().dot(&dy))
        })
        .wrong(&ONE_DOT_FOR_BATCH, |q, k, v, p, dy| {
            let (_, _, dv) = answer::vjp(q, k, v, p, dy);
            let dp = dy.dot(&v.t());
            let (mut ds, mut dot) = (Array2::zeros(p.dim()), 0.);
            for t in 0..p.nrows() {
                // Begun outside of the loop.
                dot += p.row(t).dot(&dp.row(t));
                let row = &p.row(t) * &(&dp.row(t) - dot);
                ds.row_mut(t).assign(&row);
            }
            ds /= (q.ncols() as f64).sqrt();
            (ds.dot(&k), ds.t().dot(&q), dv)
        })
        .wrong(&DIAGONAL_DROPPED, |q, k, v, p, dy| {
            // A score acts through the other probabilities alone.
            let (_, _, dv) = answer::vjp(q, k, v, p, dy);
            let dp = dy.dot(&v.t());
            let ds = Array2::from_shape_fn(p.dim(), |(t, n)| {
                let others = (0..p.ncols()).filter(|m| *m != n);
                let felt = others.map(|m| p[[t, m]] * dp[[t, m]]).sum::<f64>();
                -p[[t, n]] * felt / (q.ncols() as f64).sqrt()
            });
            (ds.dot(&k), ds.t().dot(&q), dv)
        })
        .wrong(&MASK_FULL_ROW, |q, k, v, p, dy| {
            let mut s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            s.zip_mut_with(&p, |s, p| *s = if *p == 0. { -1e9 } else { *s });
            answer::vjp(q, k, v, softmax::forward(s.view()).view(), dy)
        })
        .odd("the last value gets what is left", |q, k, v, p, dy| {
            let (dq, dk, mut dv) = answer::vjp(q, k, v, p, dy);
            let last = dv.nrows() - 1;
            let others = dv.slice(s![..last, ..]).sum_axis(Axis(0));
            dv.row_mut(last).assign(&(dy.sum_axis(Axis(0)) - others));
            (dq, dk, dv)
        })
        .odd("no gradient for the first query", |q, k, v, p, dy| {
            let (mut dq, dk, dv) = answer::vjp(q, k, v, p, dy);
            dq.row_mut(0).fill(0.);
            (dq, dk, dv)
        })
        .odd("a triangle of the scores only", |q, k, v, p, dy| {
            let p = Array2::from_shape_fn(p.dim(), |(i, j)| {
                if j > i { 0. } else { p[[i, j]] }
            });
            answer::vjp(q, k, v, p.view(), dy)
        })
        .odd("small probabilities are none", |q, k, v, p, dy| {
            let p = p.mapv(|p| if p < 1e-2 { 0. } else { p });
            answer::vjp(q, k, v, p.view(), dy)
        })
        .odd("the scale of the values' width", |q, k, v, p, dy| {
            let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
            let r = (q.ncols() as f64 / v.ncols() as f64).sqrt();
            (dq * r, dk * r, dv)
        });
    all.task("causal", &exam::CAUSAL, answer::causal, stub::causal)
        .right("by query", alt::causal_by_query)
        .right("normalised again", alt::causal_normalised_again)
        .odd("hidden scores of -1000", |q, k, v| {
            let (y, p) = answer::causal(q, k, v);
            let past = k.nrows() as isize - q.nrows() as isize;
            if past < 0 {
                return (y, p);
            }
            let mut s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            for ((t, n), s) in s.indexed_iter_mut() {
                if n as isize > t as isize + past {
                    *s = -1e3;
                }
            }
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        })
        .odd("a million lower", |q, k, v| {
            let (y, p) = answer::causal(q, k, v);
            let past = k.nrows() as isize - q.nrows() as isize;
            if past < 0 {
                return (y, p);
            }
            let mut s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            for ((t, n), s) in s.indexed_iter_mut() {
                let hidden = n as isize > t as isize + past;
                *s -= if hidden { 1e6 } else { 0. };
            }
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        })
        .wrong(&MASK_FULL_ROW, |q, k, v| {
            // Zeros in p alone.
            let (mut y, p) = answer::causal(q, k, v);
            let mean = v.mean_axis(Axis(0)).expect("not empty");
            let blind = q.nrows().saturating_sub(k.nrows());
            for mut row in y.rows_mut().into_iter().take(blind) {
                row.assign(&mean);
            }
            (y, p)
        })
        .wrong(&MASK_FORGOTTEN, twins::no_mask)
        .wrong(&MASK_INVERTED, twins::mask_inverted)
        .wrong(&MASK_INVERTED, twins::mask_inverted_with_self)
        .wrong(&MASK_TO_ZERO, twins::mask_times_scores)
        .wrong(&MASK_AFTER_SOFTMAX, twins::mask_times_probabilities)
        .wrong(&MASK_OFF_BY_ONE, twins::mask_without_self)
        .wrong(&MASK_OFF_BY_ONE, twins::mask_sees_the_next)
        .wrong(&MASK_OFF_BY_ONE, |q, k, v| {
            // The last query does not see the last key.
            let (mut y, mut p) = answer::causal(q, k, v);
            let (last, n) = (q.nrows() - 1, k.nrows() - 1);
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let row = softmax::forward(s.slice(s![last.., ..n]));
            p.row_mut(last).fill(0.);
            p.slice_mut(s![last.., ..n]).assign(&row);
            y.row_mut(last).assign(&p.row(last).dot(&v));
            (y, p)
        })
        .wrong(&MASK_FORGOTTEN, |q, k, v| {
            let (y, _) = answer::forward(q, k, v);
            (y, answer::causal(q, k, v).1)
        })
        .wrong(&CAUSAL_ALIGNMENT, twins::mask_from_the_corner)
        .wrong(&MASK_FULL_ROW, twins::mask_rows_nan)
        .wrong(&MASK_FULL_ROW, twins::mask_rows_even)
        .wrong(&ATTN_SCALE_MISSING, twins::mask_no_scale)
        .odd("only for as many queries as keys", |q, k, v| {
            match q.nrows() == k.nrows() {
                true => answer::causal(q, k, v),
                false => answer::forward(q, k, v),
            }
        })
        .odd("a large number for -∞ that is not large", |q, k, v| {
            let (t, n) = (q.nrows(), k.nrows());
            let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            let s = Array2::from_shape_fn(s.dim(), |(i, j)| {
                s[[i, j]] - if j + t > i + n { 10. } else { 0. }
            });
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        });
    all.task(
        "grouped",
        &exam::GROUPED,
        (answer::grouped, answer::grouped_vjp),
        (stub::grouped, stub::grouped_vjp),
    )
    .right(
        "by axes and by rows",
        (alt::grouped_by_axes, alt::grouped_vjp_by_rows),
    )
    .wrong_first(&GQA_TILED, twins::heads_take_turns)
    .wrong_first(&QKV_LAYOUT, twins::keys_before_values)
    .wrong_first(&HEADS_NOT_TRANSPOSED, twins::heads_stacked)
    .wrong_first(&SCALE_OF_MODEL_WIDTH, twins::scale_of_the_model)
    .wrong_first(&SCALE_OF_MODEL_WIDTH, twins::scale_of_the_heads)
    .wrong_first(&ATTN_SCALE_MISSING, twins::heads_without_scale)
    .odd_first(
        "the key head by a rounded quotient",
        |q, kv, heads, keys| {
            let share = keys as f64 / heads as f64;
            let d = q.ncols() / heads;
            let both = kv.ncols() / keys;
            let y = (0..heads).map(|h| {
                let at = (h as f64 * share) as usize * both;
                let q = q.slice(s![.., h * d..(h + 1) * d]);
                let k = kv.slice(s![.., at..at + d]);
                let v = kv.slice(s![.., at + d..at + both]);
                answer::forward(q, k, v).0
            });
            let y = y.collect::<Vec<_>>();
            let y = y.iter().map(|y| y.view()).collect::<Vec<_>>();
            concatenate(Axis(1), &y).expect("as many rows")
        },
    )
    .odd_first("the first head for all", |q, kv, heads, keys| {
        let mut y = answer::grouped(q, kv, heads, keys);
        let e = y.ncols() / heads;
        let first = y.slice(s![.., ..e]).to_owned();
        for h in 1..heads {
            y.slice_mut(s![.., h * e..(h + 1) * e]).assign(&first);
        }
        y
    })
    .odd_first("the last head left out", |q, kv, heads, keys| {
        let mut y = answer::grouped(q, kv, heads, keys);
        let e = y.ncols() / heads;
        y.slice_mut(s![.., (heads - 1) * e..]).fill(0.);
        y
    })
    .wrong_second(&GQA_NOT_SUMMED, twins::shared_assigned)
    .wrong_second(&GQA_NOT_SUMMED, twins::shared_first)
    .wrong_second(&GQA_NOT_SUMMED, twins::shared_mean)
    .wrong_second(&GQA_TILED, twins::vjp_in_turns)
    .wrong_second(&GQA_TILED, |q, kv, heads, keys, dy| {
        // Each head's gradient handed to the next head of keys in turn.
        let (dq, mut dkv) = answer::grouped_vjp(q, kv, heads, keys, dy);
        dkv.fill(0.);
        let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
        let e = both - d;
        for h in 0..heads {
            let at = h / (heads / keys) * both;
            let of = kv.slice(s![.., at..at + both]);
            let own = q.slice(s![.., h * d..(h + 1) * d]);
            let dy = dy.slice(s![.., h * e..(h + 1) * e]);
            let (_, part) = answer::grouped_vjp(own, of, 1, 1, dy);
            let to = h % keys * both;
            let mut to = dkv.slice_mut(s![.., to..to + both]);
            to += &part;
        }
        (dq, dkv)
    })
    .wrong_second(&QKV_LAYOUT, twins::vjp_keys_before_values)
    .wrong_second(&QKV_LAYOUT, twins::vjp_written_apart)
    .wrong_second(&HEADS_NOT_TRANSPOSED, twins::vjp_of_stacked)
    .odd_second("no gradient for the values", |q, kv, heads, keys, dy| {
        let (dq, mut dkv) = answer::grouped_vjp(q, kv, heads, keys, dy);
        let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
        for g in 0..keys {
            dkv.slice_mut(s![.., g * both + d..(g + 1) * both]).fill(0.);
        }
        (dq, dkv)
    });
    all.task(
        "cross_vjp",
        &exam::CROSS_VJP,
        answer::cross_vjp,
        stub::cross_vjp,
    )
    .right("as layers", alt::cross_by_layers)
    .right("packed", alt::cross_packed)
    .wrong(&CROSS_SOURCE, twins::cross_of_itself)
    .wrong(&ATTN_SCALE_MISSING, |x, m, w, dy| {
        let (dx, dm, [dwq, dwk, dwv, dwo]) = answer::cross_vjp(x, m, w, dy);
        let root = (w[0].ncols() as f64).sqrt();
        (dx / root, dm, [dwq / root, dwk, dwv, dwo])
    })
    .wrong(&SCALE_OF_MODEL_WIDTH, |x, m, [wq, wk, wv, wo], dy| {
        // The texts' width, forward and back.
        let by = (wq.ncols() as f64 / x.ncols() as f64).sqrt();
        let scaled = &wq * by;
        let w = [scaled.view(), wk, wv, wo];
        let (dx, dm, [dwq, dwk, dwv, dwo]) = answer::cross_vjp(x, m, w, dy);
        (dx, dm, [dwq * by, dwk, dwv, dwo])
    })
    .wrong(&INPUT_PATH_FORGOTTEN, twins::cross_keys_only)
    .wrong(&INPUT_PATH_FORGOTTEN, twins::cross_values_only)
    .odd("the other text is frozen", |x, m, w, dy| {
        let (dx, _, dw) = answer::cross_vjp(x, m, w, dy);
        (dx, Array2::ones(m.dim()), dw)
    })
    .odd("no gradient of the output weight's rows", |x, m, w, dy| {
        let (dx, dm, [dwq, dwk, dwv, mut dwo]) = answer::cross_vjp(x, m, w, dy);
        let last = dwo.nrows() - 1;
        dwo.row_mut(last).fill(0.);
        (dx, dm, [dwq, dwk, dwv, dwo])
    })
    .odd("weights of keys and queries alike", |x, m, w, dy| {
        let (dx, dm, [dwq, dwk, dwv, dwo]) = answer::cross_vjp(x, m, w, dy);
        (dx, dm, [(&dwq + &dwk) / 2., (dwq + dwk) / 2., dwv, dwo])
    });
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "head by head",
        (Some("scale_of_model_width"), alt::heads_by_calls),
    )
    .wrong_first(&WRONG_BUG, Some("ATTN_SCALE_MISSING"))
    .wrong_first(&WRONG_BUG, Some("the scale"))
    .wrong_second(&SCALE_OF_MODEL_WIDTH, stub::mended)
    .wrong_second(&SCALE_OF_MODEL_WIDTH, |q, k, v, heads| {
        let scale = (heads as f64).sqrt();
        twins::side_by_side_scaled(q, k, v, heads, scale)
    })
    .wrong_second(&ATTN_SCALE_MISSING, |q, k, v, heads| {
        twins::side_by_side_scaled(q, k, v, heads, 1.)
    })
    .wrong_second(&ATTN_SCALE_MISSING, |q, k, v, heads| {
        let width = (q.ncols() / heads) as f64;
        twins::side_by_side_scaled(q, k, v, heads, width)
    });
    all
}
