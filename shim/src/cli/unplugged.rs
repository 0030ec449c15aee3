//! Stands where the gate belongs until it is plugged in: refuses what would be gated, passes the rest, and says so.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use portcullis_proto::code;
use portcullis_proto::method::Method;

use crate::admin::{
    AdminApi, AdminError, AdoptReport, AdoptRequest, CheckReport, ImageQuestion, NodeStatus,
};
use crate::intercept::{After, Before, Interceptor, Refusal, Reply, Ticket};

/// No gate: fails closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unplugged;

impl Interceptor for Unplugged {
    fn before(&self, method: &'static Method, message: Bytes) -> BoxFuture<'static, Before> {
        let answer = if method.gate {
            Before::Refuse(Refusal {
                code: code::UNKNOWN,
                message: "SignatureValidationFailed: this build has no gate; nothing can be judged"
                    .to_owned(),
            })
        } else {
            Before::Forward {
                message,
                ticket: None,
            }
        };
        ready(answer).boxed()
    }

    fn after(&self, _: Ticket, _: Reply) -> BoxFuture<'static, After> {
        ready(After::Pass).boxed()
    }
}

impl AdminApi for Unplugged {
    fn check(&self, _: ImageQuestion) -> BoxFuture<'_, Result<CheckReport, AdminError>> {
        ready(Err(AdminError::NotInThisBuild("the gate".to_owned()))).boxed()
    }

    fn adopt(&self, _: AdoptRequest) -> BoxFuture<'_, Result<AdoptReport, AdminError>> {
        ready(Err(AdminError::NotInThisBuild("the gate".to_owned()))).boxed()
    }

    fn status(&self) -> BoxFuture<'_, NodeStatus> {
        let status = NodeStatus {
            alarms: vec!["this build has no gate: every pull and create is refused".to_owned()],
            ..NodeStatus::default()
        };
        ready(status).boxed()
    }
}
