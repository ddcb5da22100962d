//! The objects that simulations are held against.

pub mod log;
pub mod registers;

pub use {
	log::{Log, LogOp, LogRet, Prefix},
	registers::{Action, RegisterOp, RegisterRet, Registers},
};
