//! The CRI as this crate sees it, compared with `k8s-cri` (an independent encoder and decoder made from the published
//! `api.proto`) and tried with the attacks of a hostile encoder.

mod attacks;
mod expect;
mod field_names;
mod generate;
mod laws;
mod published;
mod samples;
mod schemas;
mod table;
