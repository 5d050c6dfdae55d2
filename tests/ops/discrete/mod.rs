pub mod reinforce;
