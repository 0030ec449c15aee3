//! Numbers that another part keeps (the proxy's counters, the store's health), read when metrics are asked for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Whether a number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; `_total` is added to its name.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// One number with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Value of the metric's one label; empty: the metric has none.
    pub label: String,
    /// The number.
    pub value: u64,
}

impl From<u64> for Sample {
    fn from(value: u64) -> Self {
        Self {
            label: String::new(),
            value,
        }
    }
}

pub(super) struct Source {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    /// Name of the label.
    pub(super) label: &'static str,
    pub(super) read: Box<dyn Fn() -> Vec<Sample> + Send + Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for sample in (self.read)() {
            if sample.label.is_empty() {
                self.encode_value(sample.value, &mut metric)?;
            } else {
                let labels = [(self.label, sample.label)];
                self.encode_value(sample.value, &mut metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl Source {
    fn encode_value(&self, value: u64, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match self.kind {
            Kind::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
            Kind::Gauge => metric.encode_gauge(&value),
        }
    }
}
