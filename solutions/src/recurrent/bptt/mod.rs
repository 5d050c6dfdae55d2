//! Backpropagation through time.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/recurrent/bptt.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::recurrent::bptt::{self, Gradients};
use examiner::calculus::chain_rule::mistakes::{
    INVERSE_DERIVATIVE, LINK_FORGOTTEN, SLOPE_OF_OUTPUT, VALUE_FOR_SLOPE,
};
use examiner::general::{
    BATCH_MEAN_TWICE, BIAS_FORGOTTEN, BIAS_MEAN_NOT_SUM, GRAD_OVERWRITTEN,
    ONE_EXAMPLE_ONLY, OUTPUTS_REORDERED, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED,
    WRONG_BUG,
};
use examiner::network::linear::mistakes::TRANSPOSE_MISSING;
use examiner::network::mlp::mistakes::{
    SLOPE_FORGOTTEN, SUM_FOR_ACTIVATION, USES_NOT_ALIKE,
};
use examiner::recurrent::bptt as exam;
use examiner::recurrent::bptt::mistakes::{
    BPTT_TRUNCATED, CARRIED_AS_FIRST, CHUNKS_COUNTED, CHUNKS_FROM_THE_END,
    CLIP_ALWAYS, CLIP_BY_VALUE, CLIP_NO_EFFECT, CLIP_PER_TENSOR, CLIP_SQUARED,
    DIRECTION_FORGOTTEN, LOCAL_COTANGENT_LOST, OTHER_TRUNCATION,
    OWN_STEP_FORGOTTEN, REST_FORGOTTEN, ROWS_NOT_CONTINUED, SINGLE_PATH,
    STATE_INDEX_SHIFTED, STATE_NOT_CARRIED, STATE_NOT_CUT, STEP_SLOPE_SHIFTED,
    STEP_UPHILL, TIME_NOT_TURNED_BACK, WINDOW_START_FORGOTTEN,
};
use examiner::submission::Submissions;
use ndarray::{Array2, Axis, s};

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    let (total, chunks, windows, rows, truths) = (
        answer::TOTAL,
        answer::IN_CHUNKS,
        answer::IN_WINDOWS,
        answer::ROWS,
        answer::TRUE,
    );
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        (total, chunks, windows, rows, truths),
        (
            stub::TOTAL,
            stub::IN_CHUNKS,
            stub::IN_WINDOWS,
            stub::ROWS,
            stub::TRUE,
        ),
    )
    .wrong(&BPTT_TRUNCATED, (Some(6), chunks, windows, rows, truths))
    .wrong(&SINGLE_PATH, (Some(4), chunks, windows, rows, truths))
    .wrong(
        &STATE_INDEX_SHIFTED,
        (Some(37), chunks, windows, rows, truths),
    )
    .wrong(&OTHER_TRUNCATION, (total, windows, windows, rows, truths))
    .wrong(&OTHER_TRUNCATION, (total, chunks, chunks, rows, truths))
    .wrong(
        &OWN_STEP_FORGOTTEN,
        (total, chunks, Some([true; 4]), rows, truths),
    )
    .wrong(
        &STATE_NOT_CUT,
        (total, Some([true; 4]), windows, rows, truths),
    )
    .wrong(
        &ROWS_NOT_CONTINUED,
        (total, chunks, windows, Some([6, 9]), truths),
    )
    .wrong(
        &ROWS_NOT_CONTINUED,
        (total, chunks, windows, Some([3, 12]), truths),
    )
    .odd(
        "13, the state itself",
        (Some(13), chunks, windows, rows, truths),
    )
    .odd("all true", (total, chunks, windows, rows, Some([true; 4])))
    .odd(
        "a network explodes whenever its radius is above 1",
        (
            total,
            chunks,
            windows,
            rows,
            Some([true, false, true, true]),
        ),
    );
    all.task("forward", &exam::FORWARD, answer::forward, stub::forward)
        .right("loops", alt::forward_loops)
        .right("text by text", alt::forward_by_text)
        .wrong(&STATE_NOT_CARRIED, twins::from_h0_every_time)
        .wrong(&SUM_FOR_ACTIVATION, twins::sum_carried)
        .wrong(&STATE_INDEX_SHIFTED, twins::states_before)
        .wrong(&TRANSPOSE_MISSING, |x, w_x, w_h, b, h0| {
            answer::forward(x, w_x, w_h.t(), b, h0)
        })
        .wrong(&BIAS_FORGOTTEN, |x, w_x, w_h, b, h0| {
            answer::forward(x, w_x, w_h, (&b * 0.).view(), h0)
        })
        .wrong(&BIAS_FORGOTTEN, twins::bias_at_the_start)
        .wrong(&STATE_INDEX_SHIFTED, twins::two_steps_back)
        .odd("begun at 0", |x, w_x, w_h, b, h0| {
            let zero = Array2::zeros(h0.dim());
            answer::forward(x, w_x, w_h, b, zero.view())
        })
        .odd("at most eight steps", |x, w_x, w_h, b, h0| {
            let mut h = answer::forward(x, w_x, w_h, b, h0);
            if h.dim().0 > 8 {
                h.slice_mut(s![8.., .., ..]).fill(0.);
            }
            h
        })
        .odd("small states are nothing", |x, w_x, w_h, b, h0| {
            let h = answer::forward(x, w_x, w_h, b, h0);
            h.mapv(|h| if h.abs() < 1e-3 { 0. } else { h })
        })
        .odd("the first text's state for all", |x, w_x, w_h, b, h0| {
            let mut first = h0.to_owned();
            for mut row in first.rows_mut() {
                row.assign(&h0.row(0));
            }
            answer::forward(x, w_x, w_h, b, first.view())
        });
    all.task("vjp", &exam::VJP, answer::vjp, stub::vjp)
        .right("one product for each gradient", alt::vjp_flat)
        .right("a walk for each loss", alt::vjp_by_loss)
        .wrong(&BPTT_TRUNCATED, twins::nothing_carried)
        .wrong(&LOCAL_COTANGENT_LOST, twins::loss_forgotten)
        .wrong(&STATE_INDEX_SHIFTED, twins::state_after)
        .wrong(&STATE_INDEX_SHIFTED, twins::first_state_twice)
        .wrong(&STEP_SLOPE_SHIFTED, twins::carry_by_the_slope_before)
        .wrong(&LINK_FORGOTTEN, twins::dh0_is_the_first_delta)
        .wrong(&TRANSPOSE_MISSING, twins::dh0_not_turned)
        .wrong(&RESHAPED_NOT_TRANSPOSED, twins::inputs_cut_anew)
        .wrong(&STEP_SLOPE_SHIFTED, twins::slope_of_before)
        .wrong(&STEP_SLOPE_SHIFTED, twins::jacobian_shifted)
        .wrong(&SLOPE_OF_OUTPUT, twins::slope_of_output)
        .wrong(&INVERSE_DERIVATIVE, twins::over_slope)
        .wrong(&SLOPE_FORGOTTEN, twins::no_slope)
        .wrong(&SLOPE_FORGOTTEN, twins::past_the_slope)
        .wrong(&SLOPE_FORGOTTEN, twins::loss_past_the_slope)
        .wrong(&VALUE_FOR_SLOPE, twins::value_for_slope)
        .wrong(&TRANSPOSE_MISSING, twins::not_turned)
        .wrong(&TRANSPOSE_MISSING, twins::inputs_not_turned)
        .wrong(&GRAD_OVERWRITTEN, twins::assigned)
        .wrong(&GRAD_OVERWRITTEN, twins::last_step_only)
        .wrong(&SIGN_FLIPPED, |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            Gradients { dw_h: -d.dw_h, ..d }
        })
        .wrong(&BIAS_MEAN_NOT_SUM, |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let db = d.db / h0.nrows() as f64;
            Gradients { db, ..d }
        })
        .wrong(&BATCH_MEAN_TWICE, |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let n = h0.nrows() as f64;
            Gradients {
                dw_x: d.dw_x / n,
                dw_h: d.dw_h / n,
                db: d.db / n,
                ..d
            }
        })
        .odd("the mean over the steps", |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let t = x.dim().0 as f64;
            Gradients {
                dw_x: d.dw_x / t,
                dw_h: d.dw_h / t,
                db: d.db / t,
                ..d
            }
        })
        .odd("nothing of the first step", |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let zero = Array2::zeros(h0.dim());
            let dw_h = answer::vjp(x, w_x, w_h, zero.view(), h, dh).dw_h;
            Gradients { dw_h, ..d }
        })
        .odd("clipped at 1", |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let dw_h = d.dw_h.mapv(|g| g.clamp(-1., 1.));
            Gradients { dw_h, ..d }
        })
        .odd("walks of eight steps", |x, w_x, w_h, h0, h, dh| {
            let windows = bptt::windows(x.dim().0, 8);
            bptt::truncated(x, w_x, w_h, h0, h, dh, &windows)
        })
        .odd("dh0 before the weight", |x, w_x, w_h, h0, h, dh| {
            let d = answer::vjp(x, w_x, w_h, h0, h, dh);
            let inverse = |w: f64| if w == 0. { 0. } else { 1. / w };
            let dh0 = match w_h.len() {
                1 => &d.dh0 * inverse(w_h[[0, 0]]),
                _ => d.dh0.clone(),
            };
            Gradients { dh0, ..d }
        })
        .odd(
            "no slope where a state is nearly 1",
            |x, w_x, w_h, h0, h, dh| {
                let h =
                    h.mapv(|h| if h.abs() > 0.999 { h.signum() } else { h });
                answer::vjp(x, w_x, w_h, h0, h.view(), dh)
            },
        );
    all.task("chunked", &exam::CHUNKED, answer::chunked, stub::chunked)
        .right("in one walk", alt::chunked_in_one_walk)
        .right("by stretches", alt::chunked_by_stretches)
        .wrong(&STATE_NOT_CARRIED, twins::chunks_from_nothing)
        .wrong(&STATE_NOT_CARRIED, twins::chunks_from_h0)
        .wrong(&STATE_NOT_CUT, twins::not_cut)
        .wrong(&OTHER_TRUNCATION, twins::windows)
        .wrong(&BPTT_TRUNCATED, twins::one_step_each)
        .wrong(&STATE_INDEX_SHIFTED, twins::chunks_meet_their_first)
        .wrong(&STATE_NOT_CARRIED, twins::chunks_told_of_h0)
        .wrong(&CHUNKS_FROM_THE_END, twins::cut_from_the_end)
        .wrong(&REST_FORGOTTEN, twins::whole_chunks_only)
        .wrong(&GRAD_OVERWRITTEN, twins::last_chunk_only)
        .wrong(&CARRIED_AS_FIRST, twins::every_first_state)
        .wrong(&CARRIED_AS_FIRST, twins::last_first_state)
        .wrong(&LOCAL_COTANGENT_LOST, twins::losses_at_the_ends)
        .odd("chunks of k + 1", |x, w_x, w_h, b, h0, k, dh| {
            answer::chunked(x, w_x, w_h, b, h0, k + 1, dh)
        })
        .odd("nothing given to the first state", {
            |x, w_x, w_h, b, h0, k, dh| {
                let d = answer::chunked(x, w_x, w_h, b, h0, k, dh);
                let dh0 = Array2::zeros(h0.dim());
                Gradients { dh0, ..d }
            }
        });
    all.task(
        "both_ways",
        &exam::BOTH_WAYS,
        (answer::both_ways, answer::both_ways_vjp),
        (stub::both_ways, stub::both_ways_vjp),
    )
    .right(
        "step by step, and as one batch",
        (alt::both_ways_by_steps, alt::both_ways_as_one_batch),
    )
    .wrong_first(&TIME_NOT_TURNED_BACK, twins::second_not_turned)
    .wrong_first(&TIME_NOT_TURNED_BACK, twins::states_turned_only)
    .wrong_first(&DIRECTION_FORGOTTEN, |x, w_x, w_h, b, h0| {
        answer::forward(x, w_x, w_h, b, h0)
    })
    .odd_first("the mean of both", |x, w_x, w_h, b, h0| {
        answer::both_ways(x, w_x, w_h, b, h0) / 2.
    })
    .odd_first("the second begins with the first's end", {
        |x, w_x, w_h, b, h0| {
            let f = bptt::forward(x, w_x, w_h, b, h0);
            let turned = x.slice(s![..;-1, .., ..]);
            let end = f.index_axis(Axis(0), f.dim().0 - 1);
            let g = bptt::forward(turned, w_x, w_h, b, end);
            &f + &g.slice(s![..;-1, .., ..])
        }
    })
    .wrong_second(&TIME_NOT_TURNED_BACK, twins::dx_not_turned)
    .wrong_second(&TIME_NOT_TURNED_BACK, twins::dy_not_turned)
    .wrong_second(&DIRECTION_FORGOTTEN, twins::first_only)
    .wrong_second(&DIRECTION_FORGOTTEN, twins::second_only)
    .wrong_second(&USES_NOT_ALIKE, |x, w_x, w_h, b, h0, dy| {
        let d = answer::both_ways_vjp(x, w_x, w_h, b, h0, dy);
        let db = twins::first_only(x, w_x, w_h, b, h0, dy).db * 2.;
        Gradients { db, ..d }
    })
    .odd_second("the first state counts once", |x, w_x, w_h, b, h0, dy| {
        let d = answer::both_ways_vjp(x, w_x, w_h, b, h0, dy);
        let dh0 = d.dh0 / 2.;
        Gradients { dh0, ..d }
    });
    all.task(
        "clipped_step",
        &exam::CLIPPED_STEP,
        answer::clipped_step,
        stub::clipped_step,
    )
    .right("in place", alt::clipped_step_in_place)
    .right("by concatenation", |w, b, dw, db, most, lr| {
        let all: Vec<f64> = dw.iter().chain(db.iter()).copied().collect();
        let norm = ndarray::Array1::from(all).pow2().sum().sqrt();
        let over = norm.max(most);
        (
            w.to_owned() - dw.mapv(|g| lr * g * most / over),
            b.to_owned() - db.mapv(|g| lr * g * most / over),
        )
    })
    .wrong(&CLIP_NO_EFFECT, twins::not_clipped)
    .wrong(&CLIP_PER_TENSOR, twins::each_clipped)
    .wrong(&CLIP_BY_VALUE, twins::entries_clipped)
    .wrong(&CLIP_ALWAYS, twins::always_scaled)
    .wrong(&CLIP_SQUARED, twins::without_root)
    .wrong(&CLIP_SQUARED, twins::square_compared)
    .wrong(&STEP_UPHILL, twins::uphill)
    .odd("only if one alone is too long", |w, b, dw, db, most, lr| {
        let [of_w, of_b] = [dw.pow2().sum().sqrt(), db.pow2().sum().sqrt()];
        let too_long = of_w > most || of_b > most;
        let factor = if too_long {
            most / of_w.hypot(of_b)
        } else {
            1.
        };
        (&w - &(&dw * (lr * factor)), &b - &(&db * (lr * factor)))
    })
    .odd("the norm of dw alone", |w, b, dw, db, most, lr| {
        let norm = (&dw * &dw).sum().sqrt();
        let step = lr * (most / norm).min(1.);
        (&w - &(&dw * step), &b - &(&db * step))
    })
    .odd("by the largest entry", |w, b, dw, db, most, lr| {
        let largest = dw.iter().chain(&db).fold(0., |m: f64, g| m.max(g.abs()));
        let step = lr * (most / largest).min(1.);
        (&w - &(&dw * step), &b - &(&db * step))
    })
    .odd("a little added to the norm", |w, b, dw, db, most, lr| {
        let norm = ((&dw * &dw).sum() + db.dot(&db)).sqrt();
        let step = lr * (most / (norm + 1e-6)).min(1.);
        (&w - &(&dw * step), &b - &(&db * step))
    })
    .odd("clipped to norm 1", |w, b, dw, db, _, lr| {
        answer::clipped_step(w, b, dw, db, 1., lr)
    });
    all.task(
        "steps_back",
        &exam::STEPS_BACK,
        answer::steps_back,
        stub::steps_back,
    )
    .right("by kind", alt::steps_back_by_kind)
    .wrong(&WINDOW_START_FORGOTTEN, |t, k| (t, t * k))
    .wrong(&CHUNKS_COUNTED, |t, k| {
        (t.div_ceil(k), answer::steps_back(t, k).1)
    })
    .wrong(&CHUNKS_COUNTED, |t, _| (t, t))
    .wrong(&OWN_STEP_FORGOTTEN, |t, k| {
        let (chunks, windows) = answer::steps_back(t, k);
        (chunks - t.div_ceil(k), windows - t)
    })
    .wrong(&OUTPUTS_REORDERED, |t, k| {
        let (chunks, windows) = answer::steps_back(t, k);
        (windows, chunks)
    })
    .wrong(&REST_FORGOTTEN, |t, k| {
        (t / k * k, answer::steps_back(t, k).1)
    })
    .odd("k is never above t", |t, k| {
        (t, (t * k).saturating_sub(k * (k - 1) / 2))
    })
    .odd("in f32", |t, k| {
        let (chunks, windows) = answer::steps_back(t, k);
        (chunks as f32 as u64, windows as f32 as u64)
    });
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "unit by unit",
        (Some("state_index_shifted"), alt::own_weights_by_unit),
    )
    .wrong_first(&WRONG_BUG, Some("GRAD_OVERWRITTEN"))
    .wrong_first(&WRONG_BUG, Some("the state"))
    .wrong_second(&STATE_INDEX_SHIFTED, stub::mended)
    .wrong_second(&STATE_INDEX_SHIFTED, twins::own_saturating)
    .wrong_second(&BPTT_TRUNCATED, twins::own_local)
    .wrong_second(&LOCAL_COTANGENT_LOST, twins::own_last_loss)
    .wrong_second(&GRAD_OVERWRITTEN, twins::own_assigned)
    .wrong_second(&ONE_EXAMPLE_ONLY, |w, h0, h, dh| {
        let (_, dx, dh0) = answer::mended(w, h0, h, dh);
        let one = s![.., ..1, ..];
        let (h, dh) = (h.slice(one), dh.slice(one));
        let (dw, ..) = answer::mended(w, h0.slice(s![..1, ..]), h, dh);
        (dw, dx, dh0)
    })
    .odd_second("h_0 forgotten", |w, h0, h, dh| {
        let (_, dx, dh0) = answer::mended(w, h0, h, dh);
        let zero = Array2::zeros(h0.dim());
        let (dw, ..) = answer::mended(w, zero.view(), h, dh);
        (dw, dx, dh0)
    });
    all
}
