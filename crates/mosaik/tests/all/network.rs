use crate::util::{node, unique};
