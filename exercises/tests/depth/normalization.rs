//! Grades `src/depth/normalization.rs`. Made by `cargo grade stubs`.

#[path = "../../src/depth/normalization.rs"]
mod answer;

examiner::exercise! {
    depth::normalization;
    predict_zeros: PREDICT_ZEROS(ZEROS),
    layer_norm_vjp: LAYER_NORM_VJP(layer_norm_vjp),
    rms_norm_vjp: RMS_NORM_VJP(rms_norm_vjp),
    batch_norm_vjp: BATCH_NORM_VJP(batch_norm_vjp, batch_norm_eval_vjp),
    group_norm_vjp: GROUP_NORM_VJP(group_norm_vjp),
    running: RUNNING(running),
    mend_batch_norm: MEND_BATCH_NORM(FIRST_BUG, first_mended),
    mend_layer_norm: MEND_LAYER_NORM(SECOND_BUG, second_mended),
}
