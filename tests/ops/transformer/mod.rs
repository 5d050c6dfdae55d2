pub mod attention;
pub mod block;
pub mod embedding;
pub mod lora;
