//! wrong: predict_dx, -, a number out of the air

pub const DX_ROW: Option<[f64; 2]> = Some([17.0, -31.5]);
