pub mod bptt;
