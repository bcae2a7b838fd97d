//! The packages and the container image, as built from this checkout. Needs root.

#[path = "../common/mod.rs"]
mod common;

mod image;
mod rpm_and_deb;
