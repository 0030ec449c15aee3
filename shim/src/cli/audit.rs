//! `portcullis audit`.

use super::{Exit, complain};

pub(super) fn run() -> Exit {
    complain("portcullis: `audit` is not in this build; `portcullis check` judges single images");
    Exit::Unknown
}
