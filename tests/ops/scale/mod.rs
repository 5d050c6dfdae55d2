pub mod flash_attention;
